#include "tests/sim/hosts/sim_visitor.hh"

#include <tins/tins.h>

namespace i3::sim {

SimVisitor::SimVisitor(SimNetwork& network, SimHost& host, const Endpoint& base,
                       std::vector<VisitName> names, std::uint64_t seed)
    : network_(network), host_(host), base_(base), random_(seed) {
  visits_ =
      std::make_unique<Visits>(host.host(), network, random_, log_, *this, std::chrono::hours(2));
  visits_->network_changed(true, false);
  visits_->set_names(std::move(names));
  arm();
}

SimVisitor::~SimVisitor() {
  if (timer_ != 0) network_.cancel(timer_);
  for (const auto& [socket, at] : sockets) network_.close(at);
}

bool SimVisitor::open(Socket socket) {
  Endpoint at = base_;
  at.port = static_cast<std::uint16_t>(base_.port + 1 + socket);
  sockets[socket] = at;
  network_.open(host_.machine(), at,
                [this, socket](const Endpoint& from, const Endpoint&, MutBytes message) {
                  visits_->on_datagram(socket, from, message);
                  arm();
                });
  return true;
}

void SimVisitor::close(Socket socket) {
  network_.close(sockets.at(socket));
}

void SimVisitor::send(Socket socket, const Endpoint& to, Bytes datagram) {
  sent_to[socket].insert(to);
  network_.send(host_.machine(), sockets.at(socket), to, datagram);
}

void SimVisitor::visit_to_tun(Bytes packet) {
  received.emplace_back(packet.begin(), packet.end());
}

void SimVisitor::arm() {
  const TimePoint next = visits_->next_deadline();
  if (next >= armed_) return;
  if (timer_ != 0) network_.cancel(timer_);
  armed_ = next;
  timer_ = network_.at(host_.machine(), std::max(next, network_.now()), [this] {
    armed_ = kNever;
    timer_ = 0;
    visits_->on_timer();
    arm();
  });
}

void SimVisitor::send_udp(const std::string& name, std::uint16_t from_port, std::uint16_t to_port,
                          const std::string& text, bool v6) {
  const auto to = visits_->meet(name);
  if (!to) return;
  Tins::UDP udp(to_port, from_port);
  std::vector<std::uint8_t> packet;
  if (v6) {
    Tins::IPv6 ip =
        Tins::IPv6(to->ipv6.text(), host_.host().own6().text()) / udp / Tins::RawPDU(text);
    packet = ip.serialize();
  } else {
    Tins::IP ip = Tins::IP(to->ipv4.text(), host_.host().own4().text()) / udp / Tins::RawPDU(text);
    packet = ip.serialize();
  }
  std::vector<std::uint8_t> storage(Frame::kHeadroom + packet.size() + Frame::kTailroom);
  std::copy(packet.begin(), packet.end(), storage.begin() + Frame::kHeadroom);
  visits_->on_tun({storage, Frame::kHeadroom, Frame::kHeadroom + packet.size()});
  arm();
}

std::vector<std::pair<IpAddress, std::string>> SimVisitor::texts(std::uint16_t port) const {
  std::vector<std::pair<IpAddress, std::string>> texts;
  for (const auto& bytes : received) {
    auto view = IpView::parse(bytes);
    if (!view || !view->is_udp() || view->destination_port() != port) continue;
    texts.emplace_back(view->source(),
                       std::string(as_text(view->transport().subspan(kUdpHeaderSize))));
  }
  return texts;
}

bool SimVisitor::renew(const std::string& name) {
  const bool there = visits_->renew(name);
  arm();
  return there;
}

}  // namespace i3::sim
