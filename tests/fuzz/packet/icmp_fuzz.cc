// Any packet through the builders of answers: an answer is a well-formed packet with right
// checksums, goes back where the packet came from, and is never answered by another error.
#include "checked.hh"
#include "proxy/packet/icmp.hh"

using namespace i3;

namespace {

void check_answer(const IpView& asked, MutBytes answer) {
  if (answer.empty()) return;
  require(answer.size() <= kReplyCapacity);
  const auto packet = IpView::parse(answer);
  require(packet && packet->family() == asked.family());
  require(packet->destination() == asked.source());
  require(asked.has_transport() && !asked.is_icmp_error());
  const bool v4 = packet->family() == Family::v4;
  if (v4) require(fold(sum_of(packet->bytes().first(20))) == 0xffff);
  ChecksumSum pseudo = 0;
  if (packet->protocol() != ip_protocol::kIcmp)
    pseudo = pseudo_header_sum(packet->source(), packet->destination(), packet->protocol(),
                               packet->transport().size());
  require(fold(sum_of(packet->transport(), pseudo)) == 0xffff);
  std::array<std::uint8_t, kReplyCapacity> second;
  if (packet->is_icmp()) {
    require(packet->is_icmp_error());
    require(build_unreachable(*packet, Unreachable::host, packet->destination(), second).empty());
  } else {
    require(build_tcp_reset(*packet, second).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto packet = IpView::parse(Bytes(data, size));
  if (!packet) return 0;
  std::array<std::uint8_t, kReplyCapacity> out;
  const IpAddress from = packet->destination();
  for (Unreachable reason : {Unreachable::host, Unreachable::port, Unreachable::prohibited})
    check_answer(*packet, build_unreachable(*packet, reason, from, out));
  check_answer(*packet, build_too_big(*packet, size, from, out));
  check_answer(*packet, build_time_exceeded(*packet, from, out));
  check_answer(*packet, build_tcp_reset(*packet, out));
  return 0;
}
