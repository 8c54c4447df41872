// Owns the commands that look at a daemon: status, peers, names, resolve, netcheck, identity,
// reload, metrics, debug bundle.
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/ctl/asking.hh"
#include "proxy/ctl/table.hh"

namespace i3 {
namespace {

void print_nodes(std::ostream& out, const Json& nodes) {
  Table table({"NODE", "STATE", "RTT", "KEY"});
  for (const Json& node : nodes)
    table.add({shown(node, "address"), shown(node, "state"), shown_ms(node, "rtt_ms"),
               shown(node, "key")});
  if (!table.empty()) {
    out << '\n';
    table.print(out);
  }
}

void print_nearest(std::ostream& out, const Json& nodes) {
  Table table({"NEAREST NODE", "RTT", "KEEPS PRIVATE TRIGGERS", "KEY"});
  for (const Json& node : nodes)
    table.add({shown(node, "address"), shown_ms(node, "rtt_ms"), shown(node, "private"),
               shown(node, "key")});
  if (table.empty()) return;
  out << '\n';
  table.print(out);
}

std::string shown_dns(const Json& dns) {
  std::string text =
      shown(dns, "mode") + " at " + shown(dns, "server") + " for ." + shown(dns, "suffix");
  for (const Json& domain : list_of(dns, "domains")) text += ", ." + shown(domain);
  return shown(dns, "reason") == "-" ? text : text + " (" + shown(dns, "reason") + ')';
}

std::string shown_nat(const Json& nat) {
  const bool named = nat.contains("name") && shown(nat, "name") != "unknown";
  std::string text = named ? shown(nat, "name") : shown(nat, "kind");
  if (nat.value("udp", Json()) == false) text += ", UDP is blocked";
  if (!list_of(nat, "observed").empty()) text += ", seen as " + shown(nat, "observed");
  return text;
}

std::string shown_rate(const Json& row) {
  const Json rate = row.value("rate", Json());
  if (!rate.is_number_unsigned() || rate == 0) return "no limit";
  const auto bits = rate.get<std::uint64_t>();
  return bits % 1'000'000 == 0 ? std::to_string(bits / 1'000'000) + " Mbit/s"
                               : std::to_string(bits / 1000) + " kbit/s";
}

// Of a box that passes sealed packets on.
void print_relay(std::ostream& out, const Json& relay) {
  if (relay.empty()) return;
  out << "\nsealed packets passed on: " << shown(relay, "passed") << " ("
      << shown_bytes(relay, "passed_bytes") << ", " << shown_rate(relay)
      << "), dropped: " << shown(relay, "dropped") << " (over the rate "
      << shown(relay, "over_rate") << ", over a client's " << shown(relay, "over_client_rate")
      << ", without a good pass " << shown(relay, "no_pass") << ")\n";
  Table table({"CLIENT", "RATE", "PACKETS", "BYTES", "OVER ITS RATE"});
  for (const Json& client : list_of(relay, "clients"))
    table.add({shown(client, "name"), shown_rate(client), shown(client, "packets"),
               shown_bytes(client, "bytes"), shown(client, "over_rate")});
  if (!table.empty()) table.print(out);
}

void print_status(std::ostream& out, const Json& status) {
  Facts facts;
  const bool ready = status.value("ready", Json()) == true;
  facts.add(shown(status, "daemon"), ready ? "ready" : "not ready");
  facts.add("version", shown(status, "version"));
  facts.add("key", shown(status, "key"));
  if (status.contains("address")) facts.add("address", shown(status, "address"));
  if (shown(status, "ipv4") != "-" || shown(status, "ipv6") != "-")
    facts.add("addresses", shown(status, "ipv4") + ", " + shown(status, "ipv6"));
  if (!object_of(status, "dns").empty()) facts.add("names", shown_dns(object_of(status, "dns")));
  if (!object_of(status, "nat").empty()) facts.add("NAT", shown_nat(object_of(status, "nat")));
  if (const Json& tun = object_of(status, "tun"); !tun.empty())
    facts.add("interface", shown(tun, "name") + ", MTU " + shown(tun, "mtu") +
                               (shown(tun, "threads") == "2" ? ", two threads" : ""));
  if (status.contains("peers")) facts.add("peers", shown(status, "peers"));
  facts.add("up for", shown_seconds(status, "uptime_s"));
  facts.print(out);
  print_nodes(out, list_of(status, "nodes"));
  print_relay(out, object_of(status, "relay"));
  for (const Json& problem : list_of(status, "problems")) out << "\nproblem: " << shown(problem);
  if (!list_of(status, "problems").empty()) out << '\n';
}

void print_peers(std::ostream& out, const Json& answer) {
  Table table({"NAME", "IPV4", "IPV6", "STATE", "PATH", "VIA", "RTT", "RECEIVED", "SENT", "HEADERS",
               "WHY"});
  for (const Json& peer : list_of(answer, "peers")) {
    const Json kept = peer.value("preserves_headers", Json());
    table.add({shown(peer, peer.contains("name") && !peer["name"].is_null() ? "name" : "key"),
               shown(peer, "ipv4"), shown(peer, "ipv6"), shown(peer, "state"), shown(peer, "path"),
               shown(peer, "via"), shown_ms(peer, "rtt_ms"), shown_bytes(peer, "rx_bytes"),
               shown_bytes(peer, "tx_bytes"),
               kept.is_null() ? "-" : (kept == true ? "preserved" : "rewritten"),
               shown(peer, "reason")});
  }
  if (table.empty()) {
    out << "no peers: nobody was contacted yet, and nobody came\n";
  } else {
    table.print(out);
  }
}

void print_names(std::ostream& out, const Json& answer) {
  Table table({"NAME", "KIND", "IPV4", "IPV6", "KEY"});
  std::string notes;
  for (const Json& name : list_of(answer, "names")) {
    table.add({shown(name, "name"), shown(name, "kind"), shown(name, "ipv4"), shown(name, "ipv6"),
               shown(name, "key")});
    if (!name.contains("key_now") || name["key_now"] == name["key"]) continue;
    notes +=
        shown(name, "name") + (name["key_now"].is_null()
                                   ? " is not believed any more: i3-ctl status says why\n"
                                   : " is " + shown(name, "key_now") +
                                         " now: i3-ctl book adopt writes that into the book\n");
  }
  if (table.empty()) {
    out << "no names: add one with i3-ctl book add NAME KEY, or paste an invitation into i3-ctl "
           "join\n";
  } else {
    table.print(out);
    out << notes;
  }
}

void print_fields(std::ostream& out, const Json& answer,
                  std::initializer_list<const char*> fields) {
  Facts facts;
  for (const char* field : fields)
    if (answer.contains(field)) facts.add(field, shown(answer, field));
  facts.print(out);
}

std::string shown_family(const Json& answer, const char* family) {
  if (answer.value(family, Json()) != true) return "none here";
  const Json& found = object_of(object_of(answer, "nat"), family);
  if (found.empty()) return "not looked at yet";
  if (found.value("udp", Json()) != true) return "no node answers over it";
  std::string text = shown(found, "name");
  text += ", seen as " + shown(found, "observed");
  return text + "; mapping " + shown(found, "mapping") + ", lets in " + shown(found, "filtering");
}

void print_netcheck(std::ostream& out, const Json& answer) {
  Facts facts;
  const Json& nat = object_of(answer, "nat");
  facts.add("NAT", shown_nat(nat));
  facts.add("its mapping", shown(nat, "mapping"));
  facts.add("it lets in", shown(nat, "filtering"));
  facts.add("hairpin", shown(nat, "hairpin"));
  facts.add("kept open every", shown_seconds(nat, "keep_alive_s"));
  facts.add("UDP", answer.value("udp", Json()) == false ? "blocked"
                   : shown(answer, "udp") == "yes"      ? "works"
                                                        : "unknown");
  facts.add("IPv4", shown_family(answer, "ipv4"));
  facts.add("IPv6", shown_family(answer, "ipv6"));
  facts.print(out);
  print_nodes(out, list_of(answer, "nodes"));
  print_nearest(out, list_of(answer, "nearest"));
}

// Everything that a daemon says of itself. A command that fails becomes {"error": ...}: a bundle is
// wanted most when things fail.
Json bundle_of(Asking& asking) {
  static constexpr const char* kAsked[] = {"status",   "identity", "peers", "names",   "netcheck",
                                           "triggers", "ring",     "book",  "metrics", "records"};
  Json answers = Json::object();
  const Json known = asking.ask("commands");
  for (const char* command : kAsked) {
    const Json& commands = list_of(known, "commands");
    if (std::find(commands.begin(), commands.end(), command) == commands.end()) continue;
    const Json arguments =
        std::string_view(command) == "book" ? Json{{"action", "list"}} : Json::object();
    try {
      answers[command] = asking.ask(command, arguments);
    } catch (const ControlError& error) {
      answers[command] = {{"error", error.what()}};
    }
  }
  return {{"version", I3_VERSION},
          {"time", static_cast<std::int64_t>(std::time(nullptr))},
          {"socket", asking.asked_at()},
          {"answers", std::move(answers)}};
}

// Readable by nobody else, for it names whom this host talks to.
void write_bundle(const std::string& file, const std::string& text) {
  OwnedFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  std::string_view rest = text;
  while (fd && !rest.empty()) {
    const ssize_t wrote = ::write(fd.get(), rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) break;
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (!fd || !rest.empty())
    throw ControlError(file + " cannot be written: " + std::strerror(errno));
}

using Print = void (*)(std::ostream&, const Json&);

// A command without arguments.
void add_plain(CLI::App& app, Asking& asking, const std::string& name, const std::string& about,
               Print print) {
  app.add_subcommand(name, about)->callback([&asking, name, print] {
    const Json answer = asking.ask(name);
    asking.show(answer, [&](std::ostream& out) { print(out, answer); });
  });
}

void add_debug(CLI::App& app, Asking& asking) {
  auto* debug = app.add_subcommand("debug", "Help for a bug report");
  debug->require_subcommand(1);
  auto* bundle =
      debug->add_subcommand("bundle", "Every answer in one JSON object, without secrets");
  auto file = std::make_shared<std::string>();
  bundle->add_option("-o,--output", *file, "File to write instead of standard output");
  bundle->callback([&asking, file] {
    const Json answer = bundle_of(asking);
    const std::string text = answer.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
    if (file->empty()) return asking.show(answer, [&](std::ostream& out) { out << text; });
    write_bundle(*file, text);
    asking.show({{"file", *file}},
                [&](std::ostream& out) { out << "written to " << *file << '\n'; });
  });
}

}  // namespace

void add_status_commands(CLI::App& app, Asking& asking) {
  add_plain(app, asking, "status", "Whether it works, and if not, why", print_status);
  add_plain(app, asking, "peers", "Whom this host talks to, and on which path", print_peers);
  add_plain(app, asking, "names", "Known names and their virtual addresses", print_names);
  add_plain(app, asking, "netcheck", "Kind of NAT, UDP, nearest nodes", print_netcheck);
  add_plain(app, asking, "identity", "This host's key, name card and ID",
            [](std::ostream& out, const Json& answer) {
              print_fields(out, answer, {"key", "id", "ipv4", "ipv6", "card"});
            });
  add_plain(app, asking, "reload", "Read configuration and address books again",
            [](std::ostream& out, const Json& answer) {
              out << "reloaded " << shown(answer, "files") << '\n';
              for (const Json& warning : list_of(answer, "warnings"))
                out << "warning: " << shown(warning) << '\n';
            });
  add_plain(
      app, asking, "metrics", "Counters as Prometheus text",
      [](std::ostream& out, const Json& answer) { out << answer.value("text", std::string()); });

  auto* resolve = app.add_subcommand("resolve", "Key, ID and virtual addresses of a name");
  auto name = std::make_shared<std::string>();
  resolve->add_option("NAME", *name, "Name with or without its suffix, or key")->required();
  resolve->callback([&asking, name] {
    const Json answer = asking.ask("resolve", {{"name", *name}});
    asking.show(answer, [&](std::ostream& out) {
      print_fields(out, answer, {"name", "key", "id", "ipv4", "ipv6", "via"});
    });
  });
  add_debug(app, asking);
}

}  // namespace i3
