#include "proxy/daemon/embedded_node.hh"

#include <boost/asio/steady_timer.hpp>

#include "overlay/node/node_core.hh"
#include "proxy/daemon/underlay.hh"

namespace i3 {
namespace {

Json member_json(const RingPeer& member) {
  return {{"id", member.id.hex()},
          {"address", member.contact.primary().text()},
          {"key", member.contact.key.text()}};
}

wire::NodeContact contact_of(const PublicKey& key, const std::vector<Endpoint>& own,
                             std::uint16_t port) {
  wire::NodeContact contact;
  contact.key = key;
  for (const Endpoint& endpoint : own) {
    auto& place = endpoint.address.is_v4() ? contact.v4 : contact.v6;
    if (!place) place = Endpoint{endpoint.address, port};
  }
  if (!contact.v4 && !contact.v6) contact.v4 = Endpoint{IpAddress::v4(0x7f000001), port};
  return contact;
}

}  // namespace

class EmbeddedNode::Impl final : public NodeIo {
 public:
  Impl(boost::asio::io_context& io, const Identity& identity, Random& random, Clock& clock,
       Log& log, BoundSocket socket, const std::vector<Endpoint>& own,
       const std::vector<EntryNode>& join)
      : clock_(clock),
        join_(join),
        timer_(io),
        contact_(contact_of(identity.key(), own, socket.local.port)),
        address_(contact_.primary()),
        core_(settings(), identity, random, log, *this),
        underlay_(
            io, std::move(socket),
            [this](const Endpoint& from, MutBytes datagram) { received(from, datagram); },
            [this] { turn(); }, UdpSocket::Options{true}) {
    core_.start(clock_.now());
    turn();
  }

  void send(const Endpoint& to, Bytes message) override { underlay_.send(to, message); }
  const Endpoint& address() const { return address_; }

  bool has_guests() const {
    for (const TriggerTable::Row& row : core_.triggers().snapshot(clock_.now(), 256))
      if (row.owner != core_.contact().key) return true;
    return false;
  }

  Json ring() const {
    Json successors = Json::array(), fingers = Json::array();
    Json predecessor = nullptr;
    if (const Chord* chord = core_.chord()) {
      const RingView& view = chord->view();
      if (const RingPeer* before = view.predecessor()) predecessor = member_json(*before);
      for (const RingPeer& member : view.successors()) successors.push_back(member_json(member));
      for (const auto& finger : view.fingers()) {
        fingers.push_back(member_json(finger.peer));
        fingers.back()["bit"] = finger.bit;
      }
    }
    return {{"id", core_.contact().ring_id().hex()},
            {"predecessor", predecessor},
            {"successors", successors},
            {"fingers", fingers}};
  }

 private:
  NodeCoreSettings settings() const {
    NodeCoreSettings settings;
    settings.contact = contact_;
    settings.have_v4 = true;
    for (const EntryNode& entry : join_)
      if (entry.address != address_) settings.join.push_back({entry.address, entry.key});
    settings.have_v6 = contact_.v6.has_value();
    return settings;
  }

  void received(const Endpoint& from, MutBytes datagram) {
    const auto verdict = core_.on_datagram(from, datagram, clock_.now(), clock_.wall());
    if (verdict.forward) underlay_.send(verdict.to, datagram);
  }

  void turn() {
    underlay_.flush();
    const TimePoint next = core_.next_deadline();
    if (next >= armed_) return;
    armed_ = next;
    timer_.expires_at(std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(next.time_since_epoch())));
    // A timer that has run out is called even if this object went in the same turn.
    timer_.async_wait(
        [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
          if (error || alive.expired()) return;
          armed_ = kNever;
          core_.on_timer(clock_.now(), clock_.wall());
          turn();
        });
  }

  Clock& clock_;
  std::vector<EntryNode> join_;
  boost::asio::steady_timer timer_;
  TimePoint armed_ = kNever;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  wire::NodeContact contact_;
  Endpoint address_;
  NodeCore core_;
  Underlay underlay_;
};

EmbeddedNode::EmbeddedNode(boost::asio::io_context& io, const Identity& identity, Random& random,
                           Clock& clock, Log& log, BoundSocket socket,
                           const std::vector<Endpoint>& own, const std::vector<EntryNode>& join)
    : impl_(
          std::make_unique<Impl>(io, identity, random, clock, log, std::move(socket), own, join)) {}

EmbeddedNode::~EmbeddedNode() = default;

const Endpoint& EmbeddedNode::address() const {
  return impl_->address();
}

bool EmbeddedNode::has_guests() const {
  return impl_->has_guests();
}

Json EmbeddedNode::ring() const {
  return impl_->ring();
}

}  // namespace i3
