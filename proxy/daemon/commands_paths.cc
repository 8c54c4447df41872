// netcheck, trace, and what other commands say of ways, NATs and nodes.
#include "proxy/daemon/commands.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

constexpr Duration kNatPatience = std::chrono::seconds(12);

std::int64_t seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

// Before the NAT was looked at: what the nodes that answered say of our address.
std::string kind_of_mapping(Worker& worker, const Observed& observed) {
  bool mapped = false, same = true, any = false;
  std::size_t nodes = 0;
  const auto locals = worker.candidates();
  for (const auto& family : {observed.v4, observed.v6}) {
    if (!family.endpoint) continue;
    any = true;
    same = same && family.same;
    nodes = std::max(nodes, family.nodes);
    if (std::find(locals.begin(), locals.end(), *family.endpoint) == locals.end() &&
        !family.endpoint->address.loopback())
      mapped = true;
  }
  if (!any) return "unknown";
  if (!mapped) return "none";
  if (!same) return "endpoint-dependent";
  return nodes > 1 ? "endpoint-independent" : "unknown";
}

std::string kind_of(const NatReport& nat) {
  if (!nat.translated) return "none";
  if (nat.mapping == NatDependence::unknown) return "unknown";
  return nat.mapping == NatDependence::none ? "endpoint-independent" : "endpoint-dependent";
}

Json way(const char* path, const std::string& via, const char* state, const Json& rtt,
         const Json& reason) {
  return {{"path", path}, {"via", via}, {"state", state}, {"rtt_ms", rtt}, {"reason", reason}};
}

Json direct_way(const Peer& peer, const Candidate& candidate, TimePoint now) {
  const std::string via = candidate.endpoint.text();
  const bool active = peer.direct.active == candidate.endpoint;
  const Json rtt = candidate.rtt > Duration{} ? Json(to_ms(candidate.rtt)) : Json();
  if (active || (candidate.rtt > Duration{} && candidate.tries < kReproveTries))
    return way("direct", via, "works", rtt, active ? Json() : Json("a shorter way is in use"));
  if (candidate.tries == 0) return way("direct", via, "not-tried", rtt, "not tried yet");
  std::string why = "no answer to " + std::to_string(candidate.tries) + " challenges";
  if (candidate.next == kNever && peer.direct.next_round != kNever)
    why += "; again in " + std::to_string(seconds(peer.direct.next_round - now)) + " s";
  return way("direct", via, "failed", rtt, why);
}

Json nearest_json(Worker& worker) {
  const auto triggers = worker.host().client().triggers(worker.clock().now());
  const auto keeps_ours = [&](const Endpoint& node) {
    return std::any_of(triggers.begin(), triggers.end(), [&](const TriggerStatus& trigger) {
      return trigger.use == TriggerStatus::Use::spare && trigger.stands && trigger.address == node;
    });
  };
  Json nodes = Json::array();
  for (const NearNode& near : worker.host().client().nearest_nodes())
    nodes.push_back({{"address", near.address.text()},
                     {"key", near.contact.key.text()},
                     {"rtt_ms", to_ms(near.rtt)},
                     {"private", keeps_ours(near.address)}});
  return nodes;
}

Json netcheck(Worker& worker) {
  return {{"nat", nat_json(worker)},     {"udp", nat_json(worker)["udp"]},
          {"ipv4", worker.have_v4()},    {"ipv6", worker.have_v6()},
          {"nodes", nodes_json(worker)}, {"nearest", nearest_json(worker)}};
}

// Answers when the NAT was looked at, or with what is known after a while.
void start_netcheck(Worker& worker, const ControlReply& reply) {
  auto timer = std::make_shared<boost::asio::steady_timer>(worker.io(), kNatPatience);
  timer->async_wait(
      [&worker, reply, timer](const boost::system::error_code&) { reply.ok(netcheck(worker)); });
  worker.host().check_nat([timer] { timer->cancel(); });
  worker.after_command();
}

Json hop_json(const TraceHop& hop, const char* role) {
  return {{"address", hop.address.text()},
          {"key", hop.node ? Json(hop.node->key.text()) : Json()},
          {"id", hop.node ? Json(hop.node->ring_id().hex()) : Json()},
          {"rtt_ms", hop.answered ? Json(to_ms(hop.rtt)) : Json()},
          {"role", role},
          {"triggers", hop.answered ? Json(hop.matches) : Json()}};
}

// The last part of the way: the node whose label is in use, if any, and the peer itself.
void add_session(Worker& worker, const PublicKey& key, Json& hops) {
  const Peer* peer = worker.host().peers().find(key);
  const TimePoint now = worker.clock().now();
  if (peer == nullptr || !worker.host().sessions().can_seal(peer->handle, now)) return;
  if (const auto* at = peer->current(); at != nullptr && !peer->direct.active) {
    TraceHop relay;
    relay.node = at->node;
    const auto reachable = at->node.reachable(worker.have_v4(), worker.have_v6());
    relay.address = reachable ? *reachable : at->node.primary();
    hops.push_back(hop_json(relay, "relay"));
  }
  hops.push_back({{"address", peer->direct.active ? Json(peer->direct.active->text()) : Json()},
                  {"key", key.text()},
                  {"id", public_id(key).hex()},
                  {"rtt_ms", peer->rtt > Duration{} ? Json(to_ms(peer->rtt)) : Json()},
                  {"role", "peer"},
                  {"triggers", nullptr}});
}

void trace(Worker& worker, const Json& arguments, const ControlReply& reply) {
  const std::string name = text_argument(arguments, "name");
  const PublicKey key = key_named(worker, name);
  worker.host().trace(key, [&worker, reply, name, key](const std::vector<TraceHop>& found) {
    if (found.empty()) return reply.fail("no entry node answers");
    Json hops = Json::array();
    for (const TraceHop& hop : found) {
      const bool first = &hop == &found.front();
      const char* role = !hop.answered ? "silent" : hop.owner ? "owner" : first ? "entry" : "ring";
      hops.push_back(hop_json(hop, role));
    }
    const TraceHop& last = found.back();
    const bool whole = last.answered && last.owner;
    add_session(worker, key, hops);
    reply.ok({{"name", name},
              {"key", key.text()},
              {"id", public_id(key).hex()},
              {"hops", hops},
              {"present", whole ? Json(last.matches > 0) : Json()}});
  });
  worker.after_command();
}

}  // namespace

Json nodes_json(Worker& worker) {
  Json nodes = Json::array();
  for (const EntryStatus& entry : worker.host().client().nodes())
    nodes.push_back({{"address", entry.address.text()},
                     {"key", entry.key ? Json(entry.key->text()) : Json()},
                     {"state", entry.alive             ? "up"
                               : entry.trouble.empty() ? "trying"
                                                       : "down"},
                     {"rtt_ms", entry.alive ? Json(to_ms(entry.rtt)) : Json()},
                     {"configured", entry.configured}});
  return nodes;
}

namespace {

// What was found of one address family; null where there is none, or it was not looked at yet.
Json family_json(Worker& worker, bool v4) {
  const NatReport& nat = worker.host().client().nat(v4);
  if (!(v4 ? worker.have_v4() : worker.have_v6()) || !nat.checked) return nullptr;
  Json json{{"udp", nat.udp}, {"name", nat.name()}};
  if (!nat.udp) return json;
  json["kind"] = kind_of(nat);
  json["mapping"] = name_of(nat.mapping);
  json["filtering"] = name_of(nat.filtering);
  json["preserves_port"] = nat.preserves_port;
  json["hairpin"] = nat.hairpin ? Json(*nat.hairpin) : Json();
  json["observed"] = nat.observed ? Json(nat.observed->text()) : Json();
  json["keep_alive_s"] = to_ms(nat.keep_alive()) / 1000;
  return json;
}

}  // namespace

Json nat_json(Worker& worker) {
  const Observed observed = worker.host().client().observed();
  const NatReport& nat = worker.host().client().nat();
  Json seen = Json::array();
  for (const auto& family : {observed.v4, observed.v6})
    if (family.endpoint) seen.push_back(family.endpoint->text());
  Json json{{"kind", kind_of_mapping(worker, observed)},
            {"udp", !seen.empty()},
            {"observed", seen},
            {"name", nat.name()},
            {"mapping", name_of(nat.mapping)},
            {"filtering", name_of(nat.filtering)},
            {"preserves_port", nullptr},
            {"port_step", nullptr},
            {"several_addresses", nullptr},
            {"hairpin", nat.hairpin ? Json(*nat.hairpin) : Json()},
            {"binding_lasts_s", nullptr},
            {"binding_ends_s", nat.binding_ends ? Json(seconds(*nat.binding_ends)) : Json()},
            {"keep_alive_s", to_ms(worker.host().client().keep_alive()) / 1000},
            {"checked_s", nullptr},
            {"ipv4", nullptr},
            {"ipv6", nullptr}};
  // What nodes see through a tunnel is its end, not our NAT.
  if (worker.transports().on_tls()) {
    json["kind"] = json["name"] = "unknown";
    json["udp"] = false;
    json["observed"] = Json::array();
    return json;
  }
  json["ipv4"] = family_json(worker, true);
  json["ipv6"] = family_json(worker, false);
  if (!nat.checked) return json;
  json["checked_s"] = seconds(worker.clock().now() - nat.at);
  json["udp"] = nat.udp;
  if (!nat.udp) return json;
  json["kind"] = kind_of(nat);
  json["preserves_port"] = nat.preserves_port;
  json["port_step"] = nat.port_step == 0 ? Json() : Json(nat.port_step);
  json["several_addresses"] = nat.several_addresses;
  if (nat.binding_lasts > Duration{}) json["binding_lasts_s"] = seconds(nat.binding_lasts);
  return json;
}

Json ways_json(Worker& worker, const Peer& peer) {
  const TimePoint now = worker.clock().now();
  Json ways = Json::array();
  if (peer.by_stops()) {
    const std::string text = worker.host().path_text(peer);
    ways.push_back(way("relay", text.substr(text.find(' ') + 1), "works", nullptr, nullptr));
  }
  for (const Candidate& candidate : peer.direct.candidates)
    ways.push_back(direct_way(peer, candidate, now));
  for (const auto& at : peer.theirs.nodes) {
    const auto endpoint = at.node.reachable(worker.have_v4(), worker.have_v6());
    const std::string via = (endpoint ? *endpoint : at.node.primary()).text();
    if (!endpoint)
      ways.push_back(way("node", via, "failed", nullptr, "of an address family that is not here"));
    else if (peer.current() == &at)
      ways.push_back(way("node", via, "works", nullptr,
                         peer.direct.active ? Json("behind the straight way") : Json()));
    else
      ways.push_back(way("node", via, "not-tried", nullptr, "another node is in use"));
  }
  return ways;
}

void register_path_commands(ControlServer& server, Worker& worker) {
  server.handle("netcheck",
                [&worker](const Json&, ControlReply reply) { start_netcheck(worker, reply); });
  server.handle("trace", [&worker](const Json& arguments, ControlReply reply) {
    trace(worker, arguments, reply);
  });
}

}  // namespace i3
