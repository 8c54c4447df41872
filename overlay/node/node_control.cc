#include "overlay/node/node_control.hh"

#include "overlay/base/control/metrics_text.hh"

namespace i3 {
namespace {

// More than a person reads, less than the control socket carries.
constexpr std::size_t kMostTriggersShown = 2000;
constexpr const char* kVersion = "0.1.0";

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

const char* phase_text(const NodeCore& core) {
  if (!core.chord()) return "learning its address";
  switch (core.chord()->phase()) {
    case Chord::Phase::idle:
      return "starting";
    case Chord::Phase::joining:
      return "joining";
    case Chord::Phase::member:
      return "member";
    case Chord::Phase::left:
      return "left";
  }
  return "unknown";
}

Json problems(const NodeCore& core) {
  Json list = Json::array();
  if (!core.address_problem().empty()) list.push_back(core.address_problem());
  if (!core.chord()) {
    list.push_back("no entry node has answered yet, so this node does not know its address");
  } else if (core.chord()->unreachable()) {
    list.push_back("no member of the ring can reach " + core.contact().primary().text() +
                   ": let UDP in to it, or advertise the address that is reached");
  } else if (core.chord()->phase() == Chord::Phase::joining) {
    list.push_back("not yet a member: no entry node has let it in so far");
  }
  return list;
}

}  // namespace

Json member_json(const wire::NodeContact& contact) {
  Json addresses = Json::array();
  if (contact.v4) addresses.push_back(contact.v4->text());
  if (contact.v6) addresses.push_back(contact.v6->text());
  return {{"id", contact.ring_id().hex()},
          {"key", contact.key.text()},
          {"address", contact.primary().text()},
          {"addresses", std::move(addresses)}};
}

Json ring_json(const NodeCore& core) {
  if (!core.chord()) throw ControlError("the node does not know its address yet");
  const RingView& view = core.chord()->view();
  Json answer = member_json(core.contact());
  answer["k"] = core.contact().k;
  answer["phase"] = phase_text(core);
  answer["predecessor"] = nullptr;
  if (const RingPeer* predecessor = view.predecessor())
    answer["predecessor"] = member_json(predecessor->contact);
  answer["successors"] = Json::array();
  for (const RingPeer& peer : view.successors())
    answer["successors"].push_back(member_json(peer.contact));
  answer["fingers"] = Json::array();
  for (const Finger& finger : view.fingers()) {
    Json member = member_json(finger.peer.contact);
    member["bit"] = finger.bit;
    answer["fingers"].push_back(std::move(member));
  }
  return answer;
}

Json node_triggers_json(const NodeCore& core, TimePoint now) {
  Json list = Json::array();
  for (const TriggerTable::Row& row : core.triggers().snapshot(now, kMostTriggersShown)) {
    const std::string target =
        row.stack_size == 0 ? row.target.text() : std::to_string(row.stack_size) + " IDs";
    list.push_back({{"id", row.id.hex()},
                    {"kind", "node"},
                    {"owner", row.owner.text()},
                    {"member", row.member.text()},
                    {"exact", row.exact},
                    {"sequence", row.sequence},
                    {"target", target},
                    {"node", core.chord() ? Json(core.contact().primary().text()) : Json()},
                    {"expires_s", seconds(row.left)},
                    {"packets", row.packets},
                    {"limited", row.limited},
                    {"rate_pps", row.rate_pps}});
  }
  return {{"triggers", std::move(list)}, {"count", core.triggers().size()}};
}

Json node_status_json(const NodeDriver& driver, Duration uptime) {
  const NodeCore& core = driver.core();
  Json listening = Json::array();
  for (const Endpoint& endpoint : driver.listening()) listening.push_back(endpoint.text());
  Json status{{"ready", core.ready()},
              {"daemon", "node"},
              {"version", kVersion},
              {"key", core.contact().key.text()},
              {"id", nullptr},
              {"address", nullptr},
              {"phase", phase_text(core)},
              {"listen", std::move(listening)},
              {"triggers", core.triggers().size()},
              {"uptime_s", static_cast<std::uint64_t>(seconds(uptime))},
              {"card", nullptr},
              {"ipv4", nullptr},
              {"ipv6", nullptr},
              {"dns", nullptr},
              {"nat", nullptr},
              {"tun", nullptr},
              {"nodes", Json::array()},
              {"problems", problems(core)}};
  if (const SideDoor* door = driver.side_door()) {
    Json tls = Json::array();
    for (const Endpoint& endpoint : door->listening()) tls.push_back(endpoint.text());
    status["tls"] = {{"listen", std::move(tls)}, {"tunnels", door->tunnels()}};
  }
  if (core.chord()) {
    status["id"] = core.chord()->id().hex();
    status["address"] = core.contact().primary().text();
    for (const RingPeer& peer : core.chord()->view().successors())
      status["nodes"].push_back({{"address", peer.contact.primary().text()},
                                 {"key", peer.contact.key.text()},
                                 {"state", "up"},
                                 {"rtt_ms", nullptr}});
  }
  return status;
}

std::string metrics_text(const NodeDriver& driver) {
  const NodeCore& core = driver.core();
  MetricsText text("i3_node_");
  text.gauge("ready", "1 where the node is a member that others reach")
      .sample(core.ready() ? 1 : 0);
  text.gauge("triggers", "Triggers stored here").sample(core.triggers().size());
  text.gauge("records", "Records of keys kept here").sample(core.records().size());
  if (core.chord()) {
    const RingView& view = core.chord()->view();
    text.gauge("ring_successors", "Successors known").sample(view.successors().size());
    text.gauge("ring_fingers", "Fingers known").sample(view.fingers().size());
  }
  text.counter("events_total", "What happened, and what was dropped, by name");
  for (const auto& [name, value] : driver.counters()) text.sample("event", name, value);
  return text.text();
}

void add_node_commands(ControlServer& server, const NodeDriver& driver, TimePoint started) {
  server.handle("status", [&driver, started](const Json&, ControlReply reply) {
    reply.ok(node_status_json(driver, driver.now() - started));
  });
  server.handle("ring",
                [&driver](const Json&, ControlReply reply) { reply.ok(ring_json(driver.core())); });
  server.handle("triggers", [&driver](const Json&, ControlReply reply) {
    reply.ok(node_triggers_json(driver.core(), driver.now()));
  });
  server.handle("metrics", [&driver](const Json&, ControlReply reply) {
    reply.ok({{"text", metrics_text(driver)}});
  });
  server.handle("identity", [&driver](const Json&, ControlReply reply) {
    const NodeCore& core = driver.core();
    reply.ok({{"key", core.contact().key.text()},
              {"card", nullptr},
              {"id", core.chord() ? Json(core.chord()->id().hex()) : Json()},
              {"ids", Json::array()},
              {"ipv4", nullptr},
              {"ipv6", nullptr}});
  });
}

}  // namespace i3
