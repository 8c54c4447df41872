// names, resolve, book, invite, join, allow.
#include <unistd.h>

#include "proxy/daemon/commands.hh"
#include "proxy/daemon/group_json.hh"
#include "proxy/daemon/worker.hh"
#include "proxy/settings/edit.hh"
#include "proxy/settings/invitation.hh"

namespace i3 {
namespace {

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "host";
  std::string why;
  const std::string first(name, strcspn(name, "."));
  return book_name(first, why).value_or("host");
}

std::string rcode_text(Rcode rcode) {
  switch (rcode) {
    case Rcode::server_failure:
      return "SERVFAIL: it cannot be reached, or its resolver does not answer";
    case Rcode::name_error:
      return "NXDOMAIN: there is no such name";
    case Rcode::refused:
      return "REFUSED: none of its rules gives it to this host";
    default:
      return "rcode " + std::to_string(static_cast<int>(rcode));
  }
}

// The gateway, or the group of them, by the books' name.
std::string gateway_name(Worker& worker, const PublicKey& key) {
  const auto group = worker.groups().names().name_of(key);
  return group ? *group : worker.host().directory().name_of(key);
}

Json names(Worker& worker) {
  Json rows = Json::array();
  Host& host = worker.host();
  const auto visits = worker.visits().status();
  const auto groups = worker.groups().names().status();
  for (const BookEntry* entry : worker.settings().books.entries()) {
    const bool group = entry->kind == EntryKind::group;
    const auto named = std::find_if(groups.begin(), groups.end(), [&](const auto& one) {
      return group && one.key == entry->key;
    });
    const auto current = host.believed().current(entry->key);
    const Peer* peer =
        entry->anonymous || group || !current ? nullptr : host.peers().find(*current);
    const bool own = entry->key == host.key();
    const auto visit = std::find_if(visits.begin(), visits.end(), [&](const auto& one) {
      return entry->anonymous && one.name == entry->name;
    });
    const auto address = [&](bool v4) -> Json {
      if (entry->address)
        return entry->address->is_v4() == v4 ? Json(entry->address->text()) : Json();
      if (named != groups.end()) return (v4 ? named->ipv4 : named->ipv6).text();
      if (visit != visits.end()) return (v4 ? visit->ipv4 : visit->ipv6).text();
      if (own) return (v4 ? host.own4() : host.own6()).text();
      if (peer != nullptr) return (v4 ? peer->ipv4 : peer->ipv6).text();
      return nullptr;
    };
    rows.push_back({{"name", worker.names().full(entry->name)},
                    {"kind", name_of(entry->kind)},
                    {"key", entry->key.text()},
                    {"key_now", current ? Json(current->text()) : Json()},
                    {"ipv4", address(true)},
                    {"ipv6", address(false)},
                    {"anonymous", entry->anonymous},
                    {"book", entry->place.file}});
    if (!group) continue;
    rows.back()["mode"] = name_of(entry->mode);
    const bool known = named != groups.end() && named->member.has_value();
    rows.back()["member"] = known ? Json(named->member->text()) : Json();
  }
  host.gateway_names().each([&](const GatewayNames::Name& name) {
    rows.push_back({{"name", name.name},
                    {"kind", "behind"},
                    {"key", name.gateway.text()},
                    {"via", host.directory().name_of(name.gateway)},
                    {"ipv4", name.inner4 ? Json(name.ipv4.text()) : Json()},
                    {"ipv6", name.inner6 ? Json(name.ipv6.text()) : Json()},
                    {"preserves_headers", name.preserves_headers()},
                    {"anonymous", false},
                    {"book", nullptr}});
  });
  worker.groups().names().behind().each([&](const AnycastBehind::Name& name) {
    rows.push_back({{"name", name.name},
                    {"kind", "behind"},
                    {"key", name.group.text()},
                    {"via", gateway_name(worker, name.group)},
                    {"ipv4", name.ipv4.text()},
                    {"ipv6", name.ipv6.text()},
                    {"preserves_headers", false},
                    {"anonymous", false},
                    {"book", nullptr}});
  });
  return {{"names", rows}};
}

Json resolve(Worker& worker, const Json& arguments) {
  const std::string name = text_argument(arguments, "name");
  if (const auto visited = worker.names().visit_name(name)) {
    const auto met = worker.visits().meet(*visited);
    worker.after_command();
    if (!met) throw ControlError("no room for one more anonymous visit");
    return {{"name", name},
            {"key", met->key.text()},
            {"id", public_id(met->key).hex()},
            {"ipv4", met->ipv4.text()},
            {"ipv6", met->ipv6.text()}};
  }
  if (const auto group = worker.names().group_name(name)) {
    if (const auto address = worker.groups().multicast().address_of(*group))
      return {{"name", name},
              {"key", worker.settings().books.find(*group)->key.text()},
              {"id", nullptr},
              {"ipv4", address->is_v4() ? Json(address->text()) : Json()},
              {"ipv6", address->is_v4() ? Json() : Json(address->text())}};
    const auto met = worker.groups().names().meet(*group);
    worker.after_command();
    if (!met) throw ControlError("no virtual address is free");
    const auto member = worker.groups().anycast().member(met->key);
    return {{"name", name},
            {"key", met->key.text()},
            {"id", public_id(met->key).hex()},
            {"ipv4", met->ipv4.text()},
            {"ipv6", met->ipv6.text()},
            {"member", member ? Json(member->text()) : Json()}};
  }
  if (!worker.names().key_of(name)) {
    const Decision decision = worker.names().policy().decide(lower_case(name));
    if (decision.via == Via::drop)
      return {{"name", name},  {"via", "drop"},   {"key", nullptr},
              {"id", nullptr}, {"ipv4", nullptr}, {"ipv6", nullptr}};
  }
  const PublicKey key = key_named(worker, name);
  Host& host = worker.host();
  const Peer* peer = key == host.key() ? nullptr : host.meet(key);
  if (key != host.key() && peer == nullptr) throw ControlError("no virtual address is free");
  return {{"name", name},
          {"key", key.text()},
          {"id", public_id(key).hex()},
          {"ipv4", (peer != nullptr ? peer->ipv4 : host.own4()).text()},
          {"ipv6", (peer != nullptr ? peer->ipv6 : host.own6()).text()}};
}

// A name behind a gateway: whoever it is asked of says, later.
void resolve_behind(Worker& worker, const std::string& name, const Names::Behind& behind,
                    ControlReply reply) {
  const auto say = [&worker, name, behind, reply](const NameAnswer& answer) mutable {
    if (answer.kind == NameAnswer::Kind::failed)
      return reply.fail(name + ": the gateway says " + rcode_text(answer.rcode));
    reply.ok({{"name", name},
              {"via", gateway_name(worker, behind.gateway)},
              {"key", behind.gateway.text()},
              {"id", public_id(behind.gateway).hex()},
              {"ipv4", answer.ipv4 ? Json(IpAddress::v4(*answer.ipv4).text()) : Json()},
              {"ipv6", answer.ipv6 ? Json(IpAddress::v6(*answer.ipv6).text()) : Json()}});
  };
  worker.names().look_up(lower_case(name), worker.clock().now(), say);
  worker.after_command();
}

// ---- books ----

std::string first_book(Worker& worker) {
  const auto& books = worker.settings().books.books();
  if (books.empty())
    throw ControlError("no <address-book file=\"...\"/> in " + worker.settings().file +
                       ": add one to keep names in");
  return books.front().file();
}

std::string read_file(Worker& worker, const std::string& path) {
  BrokerReply reply = worker.broker().read_file(path);
  if (!reply.ok()) throw ControlError(path + ": " + reply.text);
  return reply.text;
}

// Replaces a settings file and reads everything again; puts the old text back if that is refused.
void replace_and_reload(Worker& worker, const std::string& path, const std::string& before,
                        const std::string& after) {
  if (before == after) return;
  if (BrokerReply reply = worker.broker().replace_file(path, after); !reply.ok()) {
    // A wrong text is told with its place, which names the file already.
    std::string why = reply.text;
    if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
    throw ControlError(why.starts_with(path + ':') ? why + "; nothing was changed"
                                                   : path + " was not changed: " + why);
  }
  try {
    worker.reload();
  } catch (...) {
    worker.broker().replace_file(path, before);
    throw;
  }
}

Json book_list(Worker& worker) {
  Json books = Json::array(), entries = Json::array();
  for (const AddressBook& book : worker.settings().books.books()) books.push_back(book.file());
  for (const BookEntry* entry : worker.settings().books.entries())
    entries.push_back({{"name", entry->name},
                       {"kind", name_of(entry->kind)},
                       {"key", entry->key.text()},
                       {"book", entry->place.file},
                       {"shortcuts", entry->shortcuts},
                       {"anonymous", entry->anonymous}});
  return {{"books", books}, {"entries", entries}};
}

// The name is taken without the suffix, as books hold it.
std::string book_form(Worker& worker, const std::string& name) {
  const std::string lower = lower_case(name);
  auto below = worker.names().below_suffix(lower);
  return below && !below->empty() ? std::string(*below) : lower;
}

// Writes what a key said of itself into the book, for every name that it has there.
Json book_adopt(Worker& worker, const Json& arguments) {
  const std::string name = book_form(worker, text_argument(arguments, "name"));
  const auto entries = worker.settings().books.entries();
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const BookEntry* one) { return one->name == name; });
  if (entry == entries.end()) throw ControlError("no name " + i3::quoted(name) + " in any book");
  const PublicKey before_key = (*entry)->key;
  const auto key = worker.host().believed().current(before_key);
  if (!key) throw ControlError(name + "'s key is not to be believed any more: ask for its new one");
  const std::string file = (*entry)->place.file;
  const std::string before = read_file(worker, file);
  const std::string after =
      *key == before_key ? before : book_with_key(before, file, name, before_key, *key);
  replace_and_reload(worker, file, before, after);
  return {{"name", name}, {"key", key->text()}, {"book", file}, {"changed", before != after}};
}

Json book_change(Worker& worker, const std::string& action, const Json& arguments) {
  const std::string name = book_form(worker, text_argument(arguments, "name"));
  const std::string file = first_book(worker);  // a copy: a reload replaces the books
  const std::string before = read_file(worker, file);
  std::string after;
  Json key = nullptr;
  if (action == "add") {
    std::string why;
    auto parsed = parse_key(text_argument(arguments, "key"), why);
    if (!parsed) throw ControlError("the key " + why);
    key = parsed->text();
    after = book_with_added(before, file, name, *parsed);
  } else {
    if (auto known = worker.names().key_of(name)) key = known->text();
    after = book_without(before, file, name);
  }
  replace_and_reload(worker, file, before, after);
  return {{"name", name}, {"key", key}, {"book", file}, {"changed", before != after}};
}

// ---- invitations ----

Invitation invitation_of(Worker& worker, std::string name) {
  Host& host = worker.host();
  Invitation invitation;
  invitation.name = std::move(name);
  invitation.key = host.key();
  invitation.ipv4 = host.own4().address();
  invitation.ipv6 = host.own6().address();
  invitation.operator_key = worker.settings().overlay.operator_key;
  return invitation;
}

// The nodes that somebody elsewhere can start from: ours, if one runs here, else those we use.
std::vector<InvitedNode> invited_nodes(Worker& worker) {
  std::vector<InvitedNode> nodes;
  if (worker.node() != nullptr) {
    worker.note_invited();
    InvitedNode own{{}, worker.host().key()};
    for (const Endpoint& candidate : worker.candidates())
      if (own.addresses.size() < Invitation::kMaximumAddresses)
        own.addresses.push_back({candidate.address, worker.node()->address().port});
    if (!own.addresses.empty()) nodes.push_back(own);
    return nodes;
  }
  for (const EntryStatus& entry : worker.host().client().nodes())
    if (entry.alive && nodes.size() < 4) nodes.push_back({{entry.address}, entry.key});
  if (nodes.empty())
    for (const EntryNode& entry : worker.settings().overlay.nodes)
      nodes.push_back({{entry.address}, entry.key});
  return nodes;
}

Json invite(Worker& worker, const Json& arguments) {
  std::string why;
  std::string name = optional_text_argument(arguments, "name").value_or("");
  if (name.empty()) {
    const KnownHost* own = worker.host().directory().by_key(worker.host().key());
    name = own != nullptr ? own->name : host_name();
  }
  auto checked = book_name(name, why);
  if (!checked) throw ControlError("the name " + i3::quoted(name) + " " + why);
  Invitation invitation = invitation_of(worker, *checked);
  invitation.nodes = invited_nodes(worker);
  if (invitation.nodes.empty())
    throw ControlError("no overlay node is known that the other side could start from");
  Json nodes = Json::array();
  for (const InvitedNode& node : invitation.nodes) {
    Json addresses = Json::array();
    for (const Endpoint& address : node.addresses) addresses.push_back(address.text());
    nodes.push_back(
        {{"addresses", addresses}, {"key", node.key ? Json(node.key->text()) : Json()}});
  }
  return {
      {"invitation", invitation.encode()},
      {"name", invitation.name},
      {"key", invitation.key.text()},
      {"ipv4", invitation.ipv4->text()},
      {"ipv6", invitation.ipv6->text()},
      {"nodes", nodes},
      {"operator_key", invitation.operator_key ? Json(invitation.operator_key->text()) : Json()}};
}

// Entry nodes and operator's key go into the configuration, unless it names nodes already: they
// are of a ring that works, which a stranger's line must not replace. Our own node goes on, in the
// same ring as theirs, if somebody was told of it; else it has no purpose any more.
std::vector<std::string> adopt_nodes(Worker& worker, const Invitation& invitation) {
  std::vector<std::string> added;
  if (!worker.settings().overlay.nodes.empty()) return added;
  const std::string file = worker.settings().file;
  const std::string before = read_file(worker, file);
  std::string after = before;
  if (invitation.operator_key)
    after = config_with_operator_key(after, file, *invitation.operator_key);
  for (const EntryNode& node : invitation.entry_nodes()) {
    if (node.key == worker.host().key()) continue;  // ours, named by somebody we invited
    after = config_with_node(after, file, node);
    added.push_back(node.address.text());
  }
  if (!added.empty() && worker.node_is_used()) after = config_with_own_node(after, file);
  replace_and_reload(worker, file, before, after);
  return added;
}

Json join(Worker& worker, const std::string& text) {
  std::string why;
  auto invitation = Invitation::decode(text, why);
  if (!invitation) throw ControlError("not an invitation: " + why);
  if (invitation->key == worker.host().key())
    throw ControlError("this invitation is this host's own: paste it on the other machine");
  const std::string file = first_book(worker);  // a copy: a reload replaces the books
  const std::string before = read_file(worker, file);
  const std::string after = book_with_added(before, file, invitation->name, invitation->key);
  replace_and_reload(worker, file, before, after);
  const auto nodes = adopt_nodes(worker, *invitation);
  const Peer* peer = worker.host().meet(invitation->key);
  worker.after_command();
  return {{"name", worker.names().full(invitation->name)},
          {"key", invitation->key.text()},
          {"ipv4", peer != nullptr ? Json(peer->ipv4.text()) : Json()},
          {"ipv6", peer != nullptr ? Json(peer->ipv6.text()) : Json()},
          {"nodes", nodes},
          {"book", file},
          {"changed", before != after || !nodes.empty()}};
}

Json book_import(Worker& worker, const Json& arguments) {
  const std::string text = text_argument(arguments, "text");
  if (text.starts_with(Invitation::kPrefix)) {
    Json joined = join(worker, text);
    return {{"added", {joined["name"]}},
            {"skipped", Json::array()},
            {"nodes", joined["nodes"]},
            {"book", joined["book"]}};
  }
  const std::string file = first_book(worker);  // a copy: a reload replaces the books
  const std::string before = read_file(worker, file);
  const BookImport imported = book_with_imported(before, file, text, "the imported book");
  replace_and_reload(worker, file, before, imported.text);
  return {{"added", imported.added},
          {"skipped", imported.skipped},
          {"nodes", Json::array()},
          {"book", file}};
}

Json allow(Worker& worker, const Json& arguments) {
  const std::string from = text_argument(arguments, "from");
  const std::string who = from == "*" ? from : book_form(worker, from);
  const std::string protocol = optional_text_argument(arguments, "protocol").value_or("");
  const std::string ports = optional_text_argument(arguments, "ports").value_or("");
  const std::string file = worker.settings().file;
  const std::string before = read_file(worker, file);
  const std::string after = config_with_allow(before, file, who, protocol, ports);
  replace_and_reload(worker, file, before, after);
  auto key = from == "*" ? std::nullopt : worker.names().key_of(from);
  return {{"from", who},
          {"key", key ? Json(key->text()) : Json()},
          {"protocol", text_or_null(protocol)},
          {"ports", text_or_null(ports)},
          {"changed", before != after}};
}

}  // namespace

std::string name_card(Worker& worker) {
  const KnownHost* own = worker.host().directory().by_key(worker.host().key());
  return invitation_of(worker, own != nullptr ? own->name : host_name()).encode();
}

void register_name_commands(ControlServer& server, Worker& worker) {
  const auto with_arguments = [&](const char* command, Json (*answer)(Worker&, const Json&)) {
    server.handle(command, [&worker, answer](const Json& arguments, ControlReply reply) {
      reply.ok(answer(worker, arguments));
    });
  };
  server.handle("names", [&worker](const Json&, ControlReply reply) { reply.ok(names(worker)); });
  server.handle("resolve", [&worker](const Json& arguments, ControlReply reply) {
    const std::string name = text_argument(arguments, "name");
    const bool known = worker.names().key_of(name) || worker.names().visit_name(name);
    const auto behind = known ? std::nullopt : worker.names().behind(lower_case(name));
    if (behind) return resolve_behind(worker, name, *behind, std::move(reply));
    reply.ok(resolve(worker, arguments));
  });
  with_arguments("invite", invite);
  with_arguments("allow", allow);
  with_arguments("join", [](Worker& w, const Json& arguments) {
    return join(w, text_argument(arguments, "text"));
  });
  with_arguments("book", [](Worker& w, const Json& arguments) -> Json {
    const std::string action = text_argument(arguments, "action");
    if (action == "list") return book_list(w);
    if (action == "add" || action == "remove") return book_change(w, action, arguments);
    if (action == "import") return book_import(w, arguments);
    if (action == "adopt") return book_adopt(w, arguments);
    throw ControlError("book knows list, add, remove, import and adopt");
  });
}

}  // namespace i3
