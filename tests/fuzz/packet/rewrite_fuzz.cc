// Any packet through the rewriting: addresses are the new ones, sums over what checksums cover stay
// what they were, and lengths and protocol do not change.
#include <algorithm>
#include <vector>

#include "checked.hh"
#include "proxy/packet/rewrite.hh"

using namespace i3;

namespace {

// The sum that the transport checksum makes zero (or not, if it was wrong).
std::uint16_t transport_sum(const IpView& packet) {
  ChecksumSum pseudo = 0;
  if (packet.protocol() != ip_protocol::kIcmp)
    pseudo = pseudo_header_sum(packet.source(), packet.destination(), packet.protocol(), 0);
  return ones_complement(sum_of(packet.transport(), pseudo));
}

bool checksummed(const IpView& packet) {
  if (!packet.has_transport() || packet.quoted()) return false;
  if (packet.is_udp()) return load16(packet.transport(), 6) != 0;
  return packet.is_tcp() || packet.is_icmp();
}

void check_rewrite(std::vector<std::uint8_t> bytes, const IpAddress& source,
                   const IpAddress& destination) {
  auto packet = IpPacket::parse(bytes);
  if (!packet || packet->family() != (source.is_v4() ? Family::v4 : Family::v6)) return;
  const bool v4 = packet->family() == Family::v4;
  const std::size_t header = v4 ? packet->transport_offset() : 0;
  const std::uint16_t header_sum = ones_complement(sum_of(packet->bytes().first(header)));
  const bool sums = checksummed(*packet);
  const std::uint16_t sum = sums ? transport_sum(*packet) : std::uint16_t{0};
  require(rewrite_addresses(*packet, source, destination));
  const auto again = IpView::parse(bytes);
  require(again && again->source() == source && again->destination() == destination);
  require(again->protocol() == packet->protocol() && again->size() == packet->size());
  require(ones_complement(sum_of(again->bytes().first(header))) == header_sum);
  if (sums) require(transport_sum(*again) == sum);
  auto mutable_again = IpPacket::parse(bytes);
  rewrite_addresses(*mutable_again, destination, source, TransportChecksum::partial);
}

void check_clamp(std::vector<std::uint8_t> bytes) {
  auto packet = IpPacket::parse(bytes);
  if (!packet) return;
  const bool sums = checksummed(*packet);
  const std::uint16_t sum = sums ? transport_sum(*packet) : std::uint16_t{0};
  if (!clamp_mss(*packet, 1280)) return;
  require(transport_sum(*packet) == sum && sums);
  require(!clamp_mss(*packet, 1280));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> bytes(data, data + size);
  check_rewrite(bytes, IpAddress::v4(0x64400001), IpAddress::v4(0x647ffffe));
  check_rewrite(bytes, IpAddress::v6({0xfd, 1, 2, 3}), IpAddress::v6({0xfd, 9, 0xff}));
  check_clamp(bytes);
  return 0;
}
