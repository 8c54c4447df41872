#include "sim/talker.hh"

#include "proxy/packet/checksum.hh"

namespace i3::sim {
namespace {

constexpr std::uint16_t kQuestion = 6000, kAnswer = 6001;
constexpr std::size_t kIpv4 = 20, kUdp = 8, kPayload = 64;

std::unique_ptr<Identity> identity_of(std::uint64_t number) {
  SeededRandom random(0x54616c6b + number);
  return Identity::generate(random);
}

bool note(std::vector<bool>& numbers, std::uint32_t number) {
  if (number >= 10'000'000) return false;
  if (number >= numbers.size()) numbers.resize(number + 1024);
  if (numbers[number]) return false;
  numbers[number] = true;
  return true;
}

}  // namespace

Talker::Talker(SimNetwork& network, std::uint64_t number, std::uint64_t partner,
               std::vector<EntryNode> entries, bool near_nodes)
    : network_(network),
      machine_(network.add_host()),
      at_{IpAddress::v4(static_cast<std::uint32_t>(0x2d000001 + (number << 8))), 4000},
      random_(network.random_for(1'000'000 + number)),
      identity_(identity_of(number)),
      partner_(identity_of(partner)->key()),
      last_heard_(network.now()) {
  HostSettings settings;
  settings.options.shortcuts = false;
  settings.options.have_v6 = false;
  settings.pool.ipv4 = IpPrefix{IpAddress::v4(0x64400000), 10};
  settings.client.entries = std::move(entries);
  settings.client.have_v6 = false;
  settings.client.near_nodes = near_nodes;
  settings.allow = {{std::nullopt, Allow::Protocol::usual, {}}};
  settings.directory = Directory({{"partner", partner_, true}}, {});
  HostIo& io = *this;
  host_ = std::make_unique<Host>(*identity_, network_, random_, log_, io, std::move(settings));
  network_.open(machine_, at_, [this](const Endpoint& from, const Endpoint&, MutBytes message) {
    from_ = from;
    host_->on_datagram(from, message);
    arm();
  });
  host_->network_changed({at_}, true, false);
  host_->start();
  arm();
}

Talker::~Talker() {
  network_.cancel(timer_);
  network_.close(at_);
}

void Talker::arm() {
  const TimePoint next = host_->next_deadline();
  if (next >= armed_) return;
  network_.cancel(timer_);
  armed_ = next;
  timer_ = network_.at(machine_, next, [this] {
    armed_ = kNever;
    timer_ = 0;
    host_->on_timer();
    arm();
  });
}

void Talker::send(const Endpoint& to, Bytes datagram) {
  network_.send(machine_, at_, to, datagram);
}

void Talker::say() {
  said_at_ = network_.now();
  send_udp(false, ++said_);
}

void Talker::restart_silence() {
  silence_ = Duration(0);
  last_heard_ = network_.now();
}

// Questions go from port 6001 to 6000, answers back.
void Talker::send_udp(bool answer, std::uint32_t number) {
  const Peer* peer = host_->meet(partner_);
  if (peer == nullptr) return;
  const IpAddress from = host_->own4().address(), to = peer->ipv4.address();
  std::array<std::uint8_t, kIpv4 + kUdp + kPayload> packet{};
  Writer writer(packet);
  writer.u32(0x45000000 | packet.size());
  writer.u32(0);
  writer.u32(0x40110000);
  writer.u32(from.to_v4());
  writer.u32(to.to_v4());
  writer.u16(answer ? kQuestion : kAnswer);
  writer.u16(answer ? kAnswer : kQuestion);
  writer.u16(kUdp + kPayload);
  writer.u16(0);
  writer.u32(number);
  const MutBytes bytes(packet);
  const auto header = static_cast<std::uint16_t>(~fold(sum_of(bytes.first(kIpv4))));
  store16(bytes, 10, header);
  const auto sum = pseudo_header_sum(from, to, 17, kUdp + kPayload);
  const auto transport = static_cast<std::uint16_t>(~fold(sum_of(bytes.subspan(kIpv4), sum)));
  store16(bytes, kIpv4 + 6, transport == 0 ? std::uint16_t{0xffff} : transport);
  std::vector<std::uint8_t> storage(Frame::kHeadroom + packet.size() + Frame::kTailroom);
  std::copy(packet.begin(), packet.end(), storage.begin() + Frame::kHeadroom);
  host_->on_tun({storage, Frame::kHeadroom, Frame::kHeadroom + packet.size()});
  arm();
}

void Talker::to_tun(Bytes packet) {
  const auto view = IpView::parse(packet);
  if (!view || !view->is_udp() || view->transport().size() < kUdp + 4) return;
  const std::uint32_t number = load32(view->transport(), kUdp);
  if (view->destination_port() == kAnswer) {
    answered_ += note(answered_numbers_, number);
    return;
  }
  if (view->destination_port() != kQuestion) return;
  heard_ += note(heard_numbers_, number);
  silence_ = std::max(silence_, network_.now() - last_heard_);
  last_heard_ = network_.now();
  brought_by_ = from_;
  // Later, for the host must not be called from within.
  network_.at(machine_, network_.now(), [this, number] { send_udp(true, number); });
}

}  // namespace i3::sim
