// Any bytes into the parser, every accessor, and the inbound rules.
#include "checked.hh"
#include "proxy/packet/inbound_rules.hh"

using namespace i3;

namespace {

void check_offsets(const IpView& packet) {
  require(packet.transport_offset() <= packet.size());
  require(packet.is_fragment() || packet.has_transport());
  require(packet.source().is_v4() == (packet.family() == Family::v4));
  require(packet.destination().is_v4() == (packet.family() == Family::v4));
  if (packet.is_tcp() && packet.has_transport())
    require(tcp_header_length(packet.transport()) <= packet.transport().size());
  if (packet.icmp_id() != 0) require(packet.is_echo_request() || packet.is_echo_reply());
  if (const auto quote = packet.quoted()) {
    require(packet.is_icmp_error());
    require(quote->offset < quote->transport && quote->transport <= packet.size());
    require(quote->headers.family == packet.family());
  }
}

void check_rules(const IpView& packet) {
  SeededRandom random(1);
  const PublicKey friendly{{1}}, stranger{{2}};
  InboundRules rules({{friendly, Allow::Protocol::usual, {{1, 1024}}}}, random);
  const TimePoint now{};
  if (packet.is_tcp_open()) require(rules.inbound(stranger, packet, now) == InboundVerdict::silent);
  rules.outbound(friendly, packet, now);
  const InboundVerdict admission = rules.inbound(friendly, packet, now);
  if (admission == InboundVerdict::reset) require(packet.is_tcp_open());
  rules.inbound(stranger, packet, now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto packet = IpView::parse(Bytes(data, size));
  if (!packet) return 0;
  require(packet->size() == size);
  check_offsets(*packet);
  check_rules(*packet);
  return 0;
}
