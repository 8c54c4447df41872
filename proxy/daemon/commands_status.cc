// status, identity, triggers, ring, metrics, reload.
#include <unistd.h>

#include "proxy/daemon/commands.hh"
#include "proxy/daemon/group_json.hh"
#include "proxy/daemon/version.hh"
#include "proxy/daemon/worker.hh"
#include "proxy/settings/invitation.hh"

namespace i3 {
namespace {

// By which way datagrams leave, and why.
Json transport_json(Worker& worker) {
  const Transports& transports = worker.transports();
  const TlsUplink* tunnel = transports.tunnel();
  return {{"way", transports.on_tls() ? "tls" : "udp"},
          {"node", tunnel ? Json(tunnel->node().text()) : Json()},
          {"reason", transports.choice().reason()},
          {"trouble", text_or_null(transports.tunnel_trouble())}};
}

Json dns_json(Worker& worker) {
  const DnsState& dns = worker.dns();
  Json domains = Json::array();
  for (const std::string& domain : worker.names().policy().routing_domains())
    domains.push_back(domain);
  return {{"mode", dns.mode},
          {"server", text_or_null(dns.server)},
          {"suffix", worker.settings().dns.suffix},
          {"domains", domains},
          {"reason", text_or_null(dns.description)}};
}

Json status(Worker& worker) {
  Host& host = worker.host();
  Json problems = Json::array();
  if (!host.client().ready()) {
    const std::string trouble = host.client().trouble();
    problems.push_back("not reachable: " +
                       (trouble.empty() ? "no node has answered yet" : trouble));
  }
  const bool wants_dns = worker.settings().dns.intercept != Intercept::none;
  const bool dns_fine = !wants_dns || worker.dns().mode != "none";
  if (!dns_fine) problems.push_back("names do not resolve: " + worker.dns().description);
  const RelayPool& relays = worker.visits().relays();
  if (relays.wanted() && relays.empty())
    problems.push_back("anonymous names wait: no relay among the overlay's nodes was found yet");
  add_record_problems(worker, problems);
  for (const std::string& warning : worker.warnings()) problems.push_back(warning);
  const auto uptime = worker.clock().now() - worker.started();
  Json status{{"ready", host.client().ready() && dns_fine},
              {"daemon", worker.settings().daemon},
              {"version", kVersionText},
              {"name", host.own_name()},
              {"key", host.key().text()},
              {"id", public_id(host.key()).hex()},
              {"card", name_card(worker)},
              {"ipv4", host.own4().text()},
              {"ipv6", host.own6().text()},
              {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
              {"worker", worker.inherited().incarnation},
              {"dns", dns_json(worker)},
              {"nodes", nodes_json(worker)},
              {"nat", nat_json(worker)},
              {"transport", transport_json(worker)},
              {"tun",
               {{"name", worker.inherited().tun_name},
                {"mtu", worker.inherited().mtu},
                {"threads", worker.threads().count()}}},
              {"peers", host.peers().size()},
              {"visits", worker.visits().status().size()},
              {"groups", groups_json(worker)},
              {"member_of", memberships_json(worker)},
              {"problems", problems}};
  if (WorkerExtension* extension = worker.extension()) extension->add_status(status);
  return status;
}

Json identity(Worker& worker) {
  Host& host = worker.host();
  return {{"key", host.key().text()},
          {"card", name_card(worker)},
          {"id", public_id(host.key()).hex()},
          {"ids", {public_id(host.key(), 0).hex(), public_id(host.key(), 1).hex()}},
          {"ipv4", host.own4().text()},
          {"ipv6", host.own6().text()}};
}

Json triggers(Worker& worker) {
  Json rows = Json::array();
  const auto peer_of = [&](const Id& id) {
    std::string name;
    worker.host().peers().each([&](Peer& peer) {
      if (peer.mine == id) name = peer.name;
    });
    return name;
  };
  const Observed observed = worker.host().client().observed();
  const auto seen_as = [&](const Endpoint& node) -> Json {
    const auto& family = node.address.is_v4() ? observed.v4 : observed.v6;
    return family.endpoint ? Json(family.endpoint->text()) : Json();
  };
  for (const TriggerStatus& trigger : worker.host().client().triggers(worker.clock().now())) {
    const bool is_public = trigger.use == TriggerStatus::Use::public_id;
    Json nodes = Json::array();
    for (const Endpoint& place : trigger.places) nodes.push_back(place.text());
    rows.push_back({{"id", trigger.id.hex()},
                    {"kind", is_public ? "public" : "private"},
                    {"owner", worker.host().key().text()},
                    {"peer", text_or_null(peer_of(trigger.id))},
                    {"stands", trigger.stands},
                    {"target", trigger.stands ? seen_as(trigger.address) : Json()},
                    {"node", trigger.stands ? Json(trigger.address.text()) : Json()},
                    {"nodes", nodes},
                    {"expires_s", nullptr},
                    {"packets", nullptr},
                    {"trouble", text_or_null(trigger.trouble)}});
  }
  add_group_triggers(worker, rows);
  return {{"triggers", rows}};
}

}  // namespace

void register_status_commands(ControlServer& server, Worker& worker) {
  const auto plain = [&](const char* command, Json (*answer)(Worker&)) {
    server.handle(command,
                  [&worker, answer](const Json&, ControlReply reply) { reply.ok(answer(worker)); });
  };
  plain("status", status);
  plain("identity", identity);
  plain("triggers", triggers);
  plain("metrics", [](Worker& w) { return Json{{"text", metrics_text(w)}}; });
  plain("ring", [](Worker& w) {
    if (w.node() == nullptr) throw ControlError("no node runs inside this proxy: ask an i3-node");
    return w.node()->ring();
  });
  server.handle("reload", [&worker](const Json&, ControlReply reply) {
    const auto notes = worker.reload();
    Json files = Json::array({worker.settings().file});
    for (const AddressBook& book : worker.settings().books.books()) files.push_back(book.file());
    reply.ok({{"files", files}, {"warnings", notes}});
  });
}

}  // namespace i3
