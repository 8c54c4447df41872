// peers, ping, drop.
#include <boost/asio/post.hpp>
#include <set>

#include "proxy/daemon/commands.hh"
#include "proxy/daemon/group_json.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

const char* state_of(const Peer& peer, bool stands, TimePoint now) {
  if (stands) return "open";
  if (peer.contact.active) return "opening";
  return now < peer.absent_until || !peer.absent_reason.empty() ? "gone" : "idle";
}

std::string path_reason(Worker& worker, const Peer& peer) {
  const DirectPaths& direct = peer.direct;
  if (direct.active && direct.took)
    return "straight, " + std::to_string(static_cast<int>(to_ms(*direct.took))) +
           " ms after it was wanted";
  if (peer.stop) return "sealed packets go and come by that box, as the settings say";
  if (peer.their_stop) return "the other side wants its packets by a box of its choice";
  if (direct.active) return "proved by an authenticated challenge";
  if (worker.transports().on_tls())
    return "over TLS: " + std::string(worker.transports().choice().reason());
  if (!worker.settings().overlay.shortcuts) return "shortcuts are off in <overlay>";
  if (!peer.shortcuts) return "shortcuts are off for this entry of the address book";
  if (!peer.ever_ready) return "no session yet";
  if (!peer.welcomes_shortcuts) return "the other side has shortcuts off";
  if (direct.candidates.empty()) return "the other side told no address that could be tried";
  std::string reason =
      "none of " + std::to_string(direct.candidates.size()) + " addresses answers straight so far";
  const NatReport& nat = worker.host().client().nat();
  if (nat.name() == "symmetric") reason += "; the NAT here is symmetric";
  return reason;
}

// The box by which sealed packets go: its name, or, where the peer chose it, the prefix it is
// reached under.
Json peer_relay(Worker& worker, const Peer& peer) {
  if (!peer.by_stops()) return nullptr;
  const std::string text = worker.host().path_text(peer);
  return text.substr(text.find(' ') + 1);
}

// "direct ADDR" or "node ADDR" as the two fields that programs read.
std::pair<Json, Json> path_fields(Worker& worker, const Peer& peer, bool stands) {
  if (!stands) return {nullptr, nullptr};
  if (peer.by_stops()) return {"relay", peer_relay(worker, peer)};
  if (peer.direct.active) return {"direct", peer.direct.active->text()};
  const std::string text = worker.host().path_text(peer);
  const auto* at = peer.current();
  const char* kind = worker.transports().on_tls() ? "tls" : "node";
  return {kind, at != nullptr ? Json(text.substr(text.find(' ') + 1)) : Json()};
}

// The middle-box that its sessions are with.
Json box_text(Worker& worker, const Peer& peer) {
  if (peer.partner == peer.key) return nullptr;
  return worker.host().directory().name_of(peer.partner);
}

// On a middle-box: the other end of the conversation.
Json between_text(Worker& worker, const Peer& peer) {
  if (!peer.leg) return nullptr;
  return worker.host().directory().name_of(peer.leg->other);
}

// Machines that came through it, as a gateway says; the latest first.
Json clients_json(const Peer& peer, TimePoint now) {
  Json rows = Json::array();
  for (auto seen = peer.clients.rbegin(); seen != peer.clients.rend(); ++seen) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - seen->since);
    rows.push_back({{"address", seen->client.text()},
                    {"protocol", seen->protocol == 6 ? Json("tcp") : Json(seen->protocol)},
                    {"port", seen->own_port},
                    {"from_port", seen->gateway_port},
                    {"since_s", age.count()}});
  }
  return rows;
}

Json peer_json(Worker& worker, Peer& peer) {
  const TimePoint now = worker.clock().now();
  const bool stands = worker.host().sessions().can_seal(peer.handle, now);
  const auto [path, via] = path_fields(worker, peer, stands);
  const auto idle = std::chrono::duration_cast<std::chrono::seconds>(now - peer.last_used);
  return {{"name", peer.name},
          {"key", peer.key.text()},
          {"ipv4", peer.ipv4.text()},
          {"ipv6", peer.ipv6.text()},
          {"state", state_of(peer, stands, now)},
          {"path", path},
          {"via", via},
          {"middlebox", box_text(worker, peer)},
          {"relay", peer_relay(worker, peer)},
          {"between", between_text(worker, peer)},
          {"reason", stands ? Json(path_reason(worker, peer)) : text_or_null(peer.absent_reason)},
          {"rtt_ms", peer.rtt > Duration{} ? Json(to_ms(peer.rtt)) : Json()},
          {"rx_bytes", peer.traffic.rx_bytes},
          {"tx_bytes", peer.traffic.tx_bytes},
          {"direct_after_ms", peer.direct.took ? Json(to_ms(*peer.direct.took)) : Json()},
          {"paths", ways_json(worker, peer)},
          {"preserves_headers", peer.preserves_headers()},
          {"clients", clients_json(peer, now)},
          {"anonymous", false},
          {"stands_for", stands_for(worker, peer.key)},
          {"idle_s", idle.count()}};
}

// A visit, with the key of the host that is visited and the one that it sees instead of ours.
Json visit_json(Worker& worker, const Visits::Status& visit) {
  const TimePoint now = worker.clock().now();
  const auto idle = std::chrono::duration_cast<std::chrono::seconds>(now - visit.last_used);
  const Peer* peer = visit.peer;
  const char* state = peer == nullptr ? "opening" : state_of(*peer, visit.stands, now);
  const Traffic traffic = peer == nullptr ? Traffic{} : peer->traffic;
  const bool rtt = peer != nullptr && peer->rtt > Duration{};
  return {{"name", visit.name},
          {"key", visit.key.text()},
          {"ipv4", visit.ipv4.text()},
          {"ipv6", visit.ipv6.text()},
          {"state", state},
          {"path",
           visit.stands ? Json(worker.visit_sockets().tunnels().on() ? "tls" : "node") : Json()},
          {"via", visit.relay ? Json(visit.relay->text()) : Json()},
          {"reason", visit.relay ? "anonymous: both ways through one relay, never otherwise"
                                 : "no relay was found yet"},
          {"rtt_ms", rtt ? Json(to_ms(peer->rtt)) : Json()},
          {"rx_bytes", traffic.rx_bytes},
          {"tx_bytes", traffic.tx_bytes},
          {"preserves_headers", false},
          {"anonymous", true},
          {"identity", visit.identity.text()},
          {"idle_s", idle.count()}};
}

Json peers(Worker& worker) {
  Json rows = Json::array();
  worker.host().peers().each([&](Peer& peer) {
    // Entries of the book that nobody ever talked to are names, not peers.
    if (peer.ever_ready || peer.contact.active || !peer.absent_reason.empty())
      rows.push_back(peer_json(worker, peer));
  });
  for (const Visits::Status& visit : worker.visits().status())
    rows.push_back(visit_json(worker, visit));
  return {{"peers", rows}};
}

// One `i3-ctl ping`: asks, waits for the answer, pauses, asks again.
class PingRun : public std::enable_shared_from_this<PingRun> {
 public:
  // `visited`: the name of an anonymous visit, through whose relay it goes.
  PingRun(Worker& worker, std::string name, const PublicKey& key,
          std::optional<std::string> visited, std::uint64_t count, ControlReply reply)
      : worker_(worker),
        name_(std::move(name)),
        key_(key),
        visited_(std::move(visited)),
        count_(count),
        reply_(std::move(reply)),
        pause_(worker.io()) {}

  void next() {
    if (reply_.gone()) return;
    if (sent_ == count_) return finish();
    ++sent_;
    const auto answer = [self = shared_from_this()](const PingResult& result) {
      self->answered(result);
    };
    if (visited_)
      worker_.visits().ping(*visited_, kPingTimeout, answer);
    else
      worker_.host().ping(key_, kPingTimeout, answer);
    worker_.after_command();
  }

 private:
  static constexpr Duration kPingTimeout = std::chrono::seconds(9);

  void answered(const PingResult& result) {
    const std::size_t blank = result.path.find(' ');
    Json line{
        {"seq", sent_}, {"rtt_ms", nullptr}, {"path", nullptr}, {"via", nullptr}, {"bytes", 9}};
    if (result.ok) {
      rtts_.push_back(to_ms(result.rtt));
      line["rtt_ms"] = rtts_.back();
      line["path"] = result.path.substr(0, blank);
      line["via"] = result.path.substr(blank + 1);
      paths_[result.path] = to_ms(result.rtt);
    } else {
      error_ = result.error;
    }
    reply_.partial(line);
    if (!result.ok && rtts_.empty() && sent_ >= 1) return finish();
    if (sent_ == count_) return finish();
    pause_.expires_after(std::chrono::milliseconds(500));
    pause_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->next();
    });
  }

  void finish() {
    if (rtts_.empty()) return reply_.fail(name_ + " does not answer: " + error_);
    double sum = 0;
    for (double rtt : rtts_) sum += rtt;
    Json paths = Json::array();
    std::set<std::string> listed;
    for (const auto& [path, rtt] : paths_) {
      const std::size_t blank = path.find(' ');
      paths.push_back({{"path", path.substr(0, blank)},
                       {"via", path.substr(blank + 1)},
                       {"state", "works"},
                       {"rtt_ms", rtt},
                       {"reason", nullptr}});
      listed.insert(path);
    }
    // Those that no ping took, with what became of them.
    if (const Peer* peer = worker_.host().peers().find(key_))
      for (Json& way : ways_json(worker_, *peer))
        if (!listed.contains(way["path"].get<std::string>() + ' ' + way["via"].get<std::string>()))
          paths.push_back(std::move(way));
    reply_.ok({{"name", name_},
               {"key", key_.text()},
               {"sent", sent_},
               {"received", rtts_.size()},
               {"rtt_min_ms", *std::min_element(rtts_.begin(), rtts_.end())},
               {"rtt_avg_ms", sum / static_cast<double>(rtts_.size())},
               {"rtt_max_ms", *std::max_element(rtts_.begin(), rtts_.end())},
               {"paths", paths}});
  }

  Worker& worker_;
  std::string name_;
  PublicKey key_;
  std::optional<std::string> visited_;
  std::uint64_t count_;
  ControlReply reply_;
  boost::asio::steady_timer pause_;
  std::uint64_t sent_ = 0;
  std::vector<double> rtts_;
  std::map<std::string, double> paths_;
  std::string error_ = "no answer";
};

void ping(Worker& worker, const Json& arguments, ControlReply reply) {
  const std::string name = text_argument(arguments, "name");
  const std::uint64_t count = integer_argument(arguments, "count", 1, 1000, 4);
  if (auto visited = worker.names().visit_name(name)) {
    const auto met = worker.visits().meet(*visited);
    if (!met) throw ControlError("no room for one more anonymous visit");
    std::make_shared<PingRun>(worker, name, met->key, std::move(visited), count, std::move(reply))
        ->next();
    return;
  }
  if (const auto group = worker.names().group_name(name)) {
    if (worker.groups().multicast().address_of(*group))
      throw ControlError(name + " is a multicast group: no one of its members answers for it");
    worker.groups().names().when_known(
        *group, [&worker, name, count, reply = std::move(reply)](auto member) mutable {
          if (!member) return reply.fail("no member of " + name + " answers");
          const auto run = std::make_shared<PingRun>(worker, name, *member, std::nullopt, count,
                                                     std::move(reply));
          boost::asio::post(worker.io(), [run] { run->next(); });
        });
    return worker.after_command();
  }
  const PublicKey key = key_named(worker, name);
  if (key == worker.host().key()) throw ControlError(name + " is this host itself");
  std::make_shared<PingRun>(worker, name, key, std::nullopt, count, std::move(reply))->next();
}

// Ends an anonymous visit; the name's next use begins another one, by a stranger to the last.
Json renew(Worker& worker, const Json& arguments) {
  const std::string name = text_argument(arguments, "name");
  const auto visited = worker.names().visit_name(name);
  if (!visited) throw ControlError(name + " is no anonymous entry of an address book");
  const bool ended = worker.visits().renew(*visited);
  worker.after_command();
  return {{"name", name}, {"renewed", ended}};
}

Json drop(Worker& worker, const Json& arguments) {
  const std::string name = text_argument(arguments, "name");
  const PublicKey key = key_named(worker, name);
  Peer* peer = worker.host().peers().find(key);
  const bool talks = peer != nullptr && peer->mine.has_value();
  if (talks) worker.host().drop(*peer);
  worker.after_command();
  return {{"name", name}, {"key", key.text()}, {"dropped", talks ? 1 : 0}};
}

}  // namespace

void register_peer_commands(ControlServer& server, Worker& worker) {
  server.handle("peers", [&worker](const Json&, ControlReply reply) { reply.ok(peers(worker)); });
  server.handle("ping", [&worker](const Json& arguments, ControlReply reply) {
    ping(worker, arguments, std::move(reply));
  });
  server.handle("renew", [&worker](const Json& arguments, ControlReply reply) {
    reply.ok(renew(worker, arguments));
  });
  server.handle("drop", [&worker](const Json& arguments, ControlReply reply) {
    reply.ok(drop(worker, arguments));
  });
}

}  // namespace i3
