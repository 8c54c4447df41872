// Of Host: having at hand what a batch of packets for many peers needs.
#include "proxy/host/host.hh"

namespace i3 {

// 1 the pool's cells  2 peers  3 their sessions
void Host::expect(std::span<const Frame> packets) const {
  static constexpr std::size_t kMost = 16;
  std::array<PeerHandle, kMost> handles;
  std::array<IpAddress, kMost> destinations;
  std::size_t count = 0;
  for (const Frame& frame : packets.first(std::min(packets.size(), kMost)))
    if (const auto packet = IpView::parse(frame.bytes())) {
      // A super-packet's segments, most likely: one conversation needs no preparation.
      if (count == 1 && packet->destination() == destinations[0]) return;
      pool_.prefetch(destinations[count++] = packet->destination());
    }
  if (count < 2) return;
  std::size_t known = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (const Peer* peer = peers_.find(destinations[i])) {
      prefetch(peer, sizeof *peer);
      handles[known++] = peer->handle;
    }
  for (const auto step : Sessions::kFetches)
    for (std::size_t i = 0; i < known; ++i) sessions_.prefetch(handles[i], step);
}

void Host::expect(Bytes datagram, Sessions::Fetch step) const {
  const auto header = wire::Header::parse(datagram);
  if (!header || header->kind != static_cast<std::uint8_t>(SessionKind::transport)) return;
  const std::size_t front = header->type == wire::Type::direct     ? wire::kDirectSize
                            : header->type == wire::Type::labelled ? wire::kLabelledSize
                                                                   : datagram.size();
  if (datagram.size() > front) sessions_.prefetch(datagram.subspan(front), step);
}

}  // namespace i3
