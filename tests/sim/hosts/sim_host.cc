#include "tests/sim/hosts/sim_host.hh"

#include <algorithm>
#include <stdexcept>
#include <tins/tins.h>

namespace i3::sim {
namespace {

std::array<std::uint8_t, 32> seed_of(std::uint64_t number) {
  SeededRandom random(0x486f7374 + number);
  return random.array<32>();
}

HostSettings settings_of(const HostPlan& plan) {
  HostSettings settings;
  settings.options.shortcuts = plan.shortcuts;
  settings.options.have_v6 = false;
  settings.pool.ipv4 = plan.pool;
  settings.client.entries = plan.entries;
  settings.client.have_v6 = false;
  settings.allow = plan.allow;
  settings.edge = plan.edge;
  std::vector<PublicKey> allowed;
  for (const Allow& allow : plan.allow)
    if (allow.from) allowed.push_back(*allow.from);
  settings.directory = Directory(plan.book, allowed, plan.inbound_box, plan.inbound_stop);
  settings.restored = RestoredState::parse(plan.state);
  return settings;
}

}  // namespace

PublicKey key_of_host(std::uint64_t number) {
  return Identity(seed_of(number)).key();
}

std::unique_ptr<Identity> identity_of_host(std::uint64_t number) {
  return std::make_unique<Identity>(seed_of(number));
}

SimHost::SimHost(SimNetwork& network, SimNetwork::Host machine, const Endpoint& at,
                 std::uint64_t number, HostPlan plan)
    : network_(network),
      machine_(machine),
      at_(at),
      random_(network.random().u64()),
      identity_(std::make_unique<Identity>(seed_of(number))),
      log_(
          std::getenv("I3_SIM_LOG") != nullptr
              ? Log(LogLevel::debug,
                    [this, name = plan.name](LogLevel, std::string_view line) {
                      std::printf(
                          "%8.3f %s: %.*s\n",
                          std::chrono::duration<double>(network_.now().time_since_epoch()).count() -
                              3600,
                          name.c_str(), static_cast<int>(line.size()), line.data());
                    })
              : Log()),
      state_(plan.state) {
  log_state("start");
  host_ = std::make_unique<Host>(*identity_, network_, random_, log_, *this, settings_of(plan));
  groups_ = std::make_unique<Groups>(*host_, network_, random_, log_,
                                     [this](Bytes packet) { to_tun(packet); });
  network_.open(machine_, at_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
    lent_ = message;
    host_->on_datagram(from, message);
    end_turn();
  });
  host_->network_changed({at_}, true, false);
  host_->start();
  arm();
}

SimHost::~SimHost() {
  if (timer_ != 0) network_.cancel(timer_);
  close_aside();
  network_.close(at_);
}

void SimHost::arm() {
  const TimePoint next = std::min(host_->next_deadline(), groups_->next_deadline());
  if (next >= armed_) return;
  if (timer_ != 0) network_.cancel(timer_);
  armed_ = next;
  timer_ = network_.at(machine_, std::max(next, network_.now()), [this] {
    armed_ = kNever;
    timer_ = 0;
    host_->on_timer();
    groups_->on_timer();
    arm();
  });
}

void SimHost::send(const Endpoint& to, Bytes datagram) {
  note_handed(datagram);
  network_.send(machine_, at_, to, datagram);
}

void SimHost::note_handed(Bytes bytes) {
  const auto* end = lent_.data() + lent_.size();
  if (!lent_.empty() && bytes.data() >= lent_.data() && bytes.data() < end)
    handed_.push_back({bytes, {bytes.begin(), bytes.end()}});
}

void SimHost::end_turn() {
  for (const Handed& one : handed_)
    if (!std::equal(one.what.begin(), one.what.end(), one.where.begin()))
      throw std::logic_error("bytes changed between being sent and the end of the turn");
  handed_.clear();
  lent_ = {};
  arm();
}

void SimHost::to_tun(Bytes packet) {
  note_handed(packet);
  received.emplace_back(packet.begin(), packet.end());
}

void SimHost::set_route(const VirtualIp&, bool) {}

void SimHost::log_state(const std::string& line) {
  state_ += line + '\n';
}

std::optional<std::uint16_t> SimHost::open_aside() {
  close_aside();
  aside_ = {at_.address, next_aside_++};
  network_.open(machine_, aside_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
    host_->on_aside(from, message);
    arm();
  });
  return aside_.port;
}

void SimHost::send_aside(const Endpoint& to, Bytes message) {
  network_.send(machine_, aside_, to, message);
}

void SimHost::close_aside() {
  if (aside_.valid()) network_.close(aside_);
  aside_ = {};
}

VirtualIp SimHost::address_of(const PublicKey& key, bool v6) {
  const Peer* peer = host_->meet(key);
  return v6 ? peer->ipv6 : peer->ipv4;
}

void SimHost::send_packet(std::vector<std::uint8_t> packet) {
  std::vector<std::uint8_t> storage(Frame::kHeadroom + packet.size() + Frame::kTailroom);
  std::copy(packet.begin(), packet.end(), storage.begin() + Frame::kHeadroom);
  const Frame frame{storage, Frame::kHeadroom, Frame::kHeadroom + packet.size()};
  lent_ = storage;
  if (!groups_->on_tun(frame)) host_->on_tun(frame);
  end_turn();
}

void SimHost::send_udp(const PublicKey& to, std::uint16_t from_port, std::uint16_t to_port,
                       const std::string& text) {
  send_udp_to(address_of(to).address(), from_port, to_port, text);
}

void SimHost::send_udp_to(const IpAddress& to, std::uint16_t from_port, std::uint16_t to_port,
                          const std::string& text) {
  if (to.is_v4()) {
    Tins::IP packet = Tins::IP(to.text(), host_->own4().text()) / Tins::UDP(to_port, from_port) /
                      Tins::RawPDU(text);
    return send_packet(packet.serialize());
  }
  Tins::IPv6 packet = Tins::IPv6(to.text(), host_->own6().text()) / Tins::UDP(to_port, from_port) /
                      Tins::RawPDU(text);
  send_packet(packet.serialize());
}

void SimHost::send_udp_from(const IpAddress& from, const PublicKey& to, std::uint16_t from_port,
                            std::uint16_t to_port, const std::string& text) {
  Tins::IP packet = Tins::IP(address_of(to).text(), from.text()) / Tins::UDP(to_port, from_port) /
                    Tins::RawPDU(text);
  send_packet(packet.serialize());
}

void SimHost::send_syn(const PublicKey& to, std::uint16_t port) {
  Tins::TCP tcp(port, 45000);
  tcp.flags(Tins::TCP::SYN);
  Tins::IP packet = Tins::IP(address_of(to).text(), host_->own4().text()) / tcp;
  send_packet(packet.serialize());
}

void SimHost::stop() {
  host_->stop();
  state_ = host_->state_lines() + "clean\n";
  arm();
}

std::vector<std::string> SimHost::texts(std::uint16_t port) const {
  std::vector<std::string> texts;
  for (const auto& bytes : received) {
    auto view = IpView::parse(bytes);
    if (!view || !view->is_udp() || view->destination_port() != port) continue;
    texts.emplace_back(as_text(view->transport().subspan(kUdpHeaderSize)));
  }
  return texts;
}

std::size_t SimHost::unreachables() const {
  std::size_t count = 0;
  for (const auto& bytes : received) {
    auto view = IpView::parse(bytes);
    if (view && view->is_icmp() && view->icmp_type() == 3 && view->icmp_code() == 1) ++count;
  }
  return count;
}

std::size_t SimHost::resets() const {
  std::size_t count = 0;
  for (const auto& bytes : received) {
    auto view = IpView::parse(bytes);
    if (view && (view->tcp_flags() & tcp_flag::kRst) != 0) ++count;
  }
  return count;
}

SmallWorld::SmallWorld(std::uint64_t seed) : network(seed) {
  for (int i = 0; i < 3; ++i) {
    ring.add();
    network.run_for(std::chrono::seconds(1));
  }
  network.run_until([this] { return ring.ideal(); }, std::chrono::seconds(120));
  nat_a_ = network.add_nat(*IpAddress::parse("203.0.113.1"));
  nat_b_ = network.add_nat(*IpAddress::parse("198.51.100.1"));
  machine_a_ = network.add_host(nat_a_);
  machine_b_ = network.add_host(nat_b_);
  a = make("a", plan_of("a"));
  b = make("b", plan_of("b"));
}

HostPlan SmallWorld::plan_of(const std::string& name) const {
  HostPlan plan;
  plan.name = name;
  plan.book = {{"a", key_of_host(1), true}, {"b", key_of_host(2), true}};
  if (name == "b") plan.allow = {{key_of_host(1), Allow::Protocol::usual, {}}};
  for (auto& node : const_cast<SimRing&>(ring).nodes())
    plan.entries.push_back({node->endpoint(), node->identity().key()});
  return plan;
}

std::unique_ptr<SimHost> SmallWorld::make(const std::string& name, HostPlan plan) {
  const bool first = name == "a";
  return std::make_unique<SimHost>(
      network, first ? machine_a_ : machine_b_,
      *Endpoint::parse(first ? "192.168.1.2:4000" : "192.168.2.2:4000"), first ? 1 : 2,
      std::move(plan));
}

bool SmallWorld::ready() {
  return network.run_until(
      [this] { return a->host().client().ready() && b->host().client().ready(); },
      std::chrono::seconds(30));
}

bool SmallWorld::hears(SimHost& from, SimHost& to, const std::string& text, Duration limit) {
  from.send_udp(to.key(), 5000, 6000, text);
  return network.run_until(
      [&] {
        const auto texts = to.texts(6000);
        return std::find(texts.begin(), texts.end(), text) != texts.end();
      },
      limit, std::chrono::milliseconds(10));
}

bool SmallWorld::gets_through(SimHost& from, SimHost& to, const std::string& text, Duration limit) {
  const TimePoint end = network.now() + limit;
  while (network.now() < end)
    if (hears(from, to, text, std::chrono::milliseconds(500))) return true;
  return false;
}

}  // namespace i3::sim
