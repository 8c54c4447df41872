#include "tests/bench/path/small_world.hh"

namespace i3::bench {

void Machine::make(HostSettings settings) {
  if (state.empty()) state = "start\n";
  HostIo& io = *this;
  host = std::make_unique<Host>(*identity, world_.clock, world_.random(), world_.log(), io,
                                std::move(settings));
  host->network_changed({at}, true, false);
  host->start();
}

void Machine::send(const Endpoint& to, Bytes datagram) {
  if (on_send) on_send(to, datagram);
  if (held == nullptr) return world_.send(at, to, datagram);
  const auto offset = static_cast<std::size_t>(datagram.data() - held_from.data());
  held->push_back(held_from.subspan(offset, datagram.size()));
}

void Machine::to_tun(Bytes packet) {
  ++to_programs;
  if (on_program) on_program(packet);
  if (held == nullptr) last.assign(packet.begin(), packet.end());
}

SmallWorld::SmallWorld(const WorldPlan& plan)
    : plan_(plan),
      a(*this, *Endpoint::parse("198.51.100.1:4000"), Identity::generate(random_)),
      b(*this, *Endpoint::parse("192.0.2.1:4000"), Identity::generate(random_)),
      node_identity_(Identity::generate(random_)) {
  NodeCoreSettings settings;
  settings.contact.v4 = node_at_;
  NodeIo& io = *this;
  node_ = std::make_unique<NodeCore>(std::move(settings), *node_identity_, random_, log_, io);
  node_->start(clock.now());
  a.make(settings_of(true));
  b.make(settings_of(false));
  const auto can_meet = [&] { return a.host->client().ready() && b.host->client().ready(); };
  if (!run_until(can_meet, std::chrono::seconds(30)))
    throw std::runtime_error("the hosts do not reach the node");
  a.host->meet(b.identity->key());
  const auto hello = packet(false, false, 100);
  OwnFrame frame(hello);
  a.host->on_tun(frame.frame());
  if (!run_until([&] { return ready(); }, std::chrono::seconds(30)))
    throw std::runtime_error("the hosts do not reach each other as planned");
}

HostSettings SmallWorld::settings_of(bool first) const {
  HostSettings settings;
  settings.options.shortcuts = plan_.shortcuts;
  settings.options.have_v6 = false;
  settings.client.have_v6 = false;
  settings.client.entries = {{node_at_, node_identity_->key()}};
  settings.sessions.aes_preferred = plan_.aes;
  settings.directory =
      Directory({{"a", a.identity->key(), true}, {"b", b.identity->key(), true}}, {});
  if (first) return settings;
  settings.allow = {{a.identity->key(), Allow::Protocol::usual, {}}};
  settings.sessions.handshakes_per_second = plan_.first_messages_a_second;
  if (!plan_.same_pool) settings.pool.ipv4 = {IpAddress::v4(0x0a4d0000), 16};
  return settings;
}

bool SmallWorld::ready() {
  const Peer& peer = b_at_a();
  const auto info = a.host->sessions().info(peer.handle, clock.now());
  if (b.to_programs == 0 || !info || (info->cipher == Cipher::aes256_gcm) != plan_.aes)
    return false;
  if (plan_.shortcuts) return peer.direct.active.has_value();
  return peer.current() != nullptr && peer.ways.ways[peer.ways.at].proved;
}

void SmallWorld::send(const Endpoint& from, const Endpoint& to, Bytes datagram) {
  queue_.push_back({from, to, {datagram.begin(), datagram.end()}});
}

void SmallWorld::deliver() {
  Datagram datagram = std::move(queue_.front());
  queue_.pop_front();
  if (datagram.to == node_at_) {
    const auto verdict =
        node_->on_datagram(datagram.from, datagram.bytes, clock.now(), clock.wall());
    if (verdict.forward) send(node_at_, verdict.to, datagram.bytes);
    return;
  }
  if (datagram.to == b.at && before_b && before_b(datagram.from, datagram.bytes)) return;
  for (Machine* machine : {&a, &b})
    if (datagram.to == machine->at) machine->host->on_datagram(datagram.from, datagram.bytes);
}

void SmallWorld::restart_b(bool clean) {
  std::string state = b.host->state_lines();
  // A run that was killed leaves what it had written as things happened.
  if (clean)
    state += "clean\n";
  else
    state = b.state;
  HostSettings settings = settings_of(false);
  settings.restored = RestoredState::parse(state);
  b.state = state + "start\n";
  b.make(std::move(settings));
  if (!run_until([&] { return b.host->client().ready(); }, std::chrono::seconds(30)))
    throw std::runtime_error("the host does not come back");
}

bool SmallWorld::step(TimePoint until) {
  if (!queue_.empty()) {
    deliver();
    return true;
  }
  const TimePoint next =
      std::min({node_->next_deadline(), a.host->next_deadline(), b.host->next_deadline(), until});
  if (next > clock.now()) clock.jump(next - clock.now());
  if (next >= until) return false;
  const TimePoint now = clock.now();
  if (node_->next_deadline() <= now) node_->on_timer(now, clock.wall());
  for (Machine* machine : {&a, &b})
    if (machine->host->next_deadline() <= now) machine->host->on_timer();
  return true;
}

bool SmallWorld::run_until(const std::function<bool()>& enough, Duration limit) {
  const TimePoint until = clock.now() + limit;
  while (!enough())
    if (!step(until)) return enough();
  return true;
}

std::vector<std::uint8_t> SmallWorld::packet(bool tcp, bool v6, std::size_t size) {
  const Peer& peer = b_at_a();
  std::vector<std::uint8_t> bytes(size);
  Writer writer(bytes);
  if (v6) {
    writer.u32(0x60000000);
    writer.u16(static_cast<std::uint16_t>(size - 40));
    writer.u16(tcp ? 0x0640 : 0x1140);
    writer.bytes(a.host->own6().address().bytes);
    writer.bytes(peer.ipv6.address().bytes);
  } else {
    writer.u16(0x4500);
    writer.u16(static_cast<std::uint16_t>(size));
    writer.u32(0x00014000);
    writer.u32(tcp ? 0x40060000 : 0x40110000);
    writer.u32(a.host->own4().address().to_v4());
    writer.u32(peer.ipv4.address().to_v4());
  }
  writer.u16(40000);
  writer.u16(5000);
  if (tcp) {
    writer.u64(0x0000000100000001);
    writer.u32(0x50107fff);  // ACK
    writer.u32(0x12340000);
  } else {
    writer.u16(static_cast<std::uint16_t>(size - (v6 ? 40 : 20)));
    writer.u16(0x1234);
  }
  return bytes;
}

}  // namespace i3::bench
