#include "sim/sim_node.hh"

namespace i3::sim {
namespace {
// Where programs on the node's own machine ask from.
const Endpoint kSameMachine{IpAddress::v4(0x7f000001), 1};
}  // namespace

SimNode::SimNode(SimNetwork& network, const Endpoint& at, std::vector<ChordSeed> join,
                 std::uint64_t number, const Change& change)
    : network_(network),
      at_(at),
      host_(network.add_host()),
      random_(network.random_for(number)),
      identity_(Identity::generate(random_)) {
  NodeCoreSettings settings;
  (at.address.is_v4() ? settings.contact.v4 : settings.contact.v6) = at;
  settings.have_v4 = at.address.is_v4();
  settings.have_v6 = !at.address.is_v4();
  settings.join = std::move(join);
  if (change) change(settings);
  NodeIo& io = *this;
  core_ = std::make_unique<NodeCore>(std::move(settings), *identity_, random_, log_, io);
  network_.open(host_, at_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
    const auto verdict = core_->on_datagram(from, message, network_.now(), network_.wall());
    if (verdict.forward) send(verdict.to, message);
    after_core();
  });
  core_->start(network_.now());
  after_core();
}

SimNode::~SimNode() {
  network_.cancel(timer_);
  network_.kill(host_);
}

void SimNode::leave() {
  core_->leave(network_.now());
  after_core();
}

void SimNode::ask(RingId position, Answer answer) {
  std::array<std::uint8_t, wire::Lookup::kSize> question;
  Writer writer(question);
  std::uint64_t nonce = network_.random().u64();
  wire::Lookup{nonce, position}.write(writer);
  asked_[nonce] = std::move(answer);
  core_->on_datagram(kSameMachine, question, network_.now(), network_.wall());
  after_core();
}

void SimNode::send(const Endpoint& to, Bytes message) {
  if (to != kSameMachine) return network_.send(host_, at_, to, message);
  const auto reply = wire::LookupReply::parse(message);
  if (!reply) return;
  auto asked = asked_.find(reply->nonce);
  if (asked == asked_.end()) return;
  // Later, for the core must not be called from within.
  network_.at(
      host_, network_.now(),
      [answer = std::move(asked->second), contacts = reply->contacts] { answer(contacts); });
  asked_.erase(asked);
}

std::uint16_t SimNode::other_port(const IpAddress&) {
  if (other_.valid()) return other_.port;
  other_ = {at_.address, static_cast<std::uint16_t>(at_.port + 1)};
  network_.open(host_, other_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
    core_->on_other_port(from, message, network_.now());
    after_core();
  });
  return other_.port;
}

void SimNode::send_other(const Endpoint& to, Bytes message) {
  if (other_port(to.address) != 0) network_.send(host_, other_, to, message);
}

void SimNode::after_core() {
  arm();
  if (member() == was_member_) return;
  was_member_ = member();
  if (on_membership_) on_membership_();
}

void SimNode::arm() {
  const TimePoint next = core_->next_deadline();
  if (next >= armed_) return;
  network_.cancel(timer_);
  armed_ = next;
  timer_ = network_.at(host_, next, [this] {
    timer_ = 0;
    armed_ = kNever;
    core_->on_timer(network_.now(), network_.wall());
    after_core();
  });
}

}  // namespace i3::sim
