#include "gateways/middlebox/alert.hh"

#include "proxy/packet/checksum.hh"

namespace i3 {

std::vector<std::uint8_t> alert_packet(const IpAddress& from, const IpAddress& to,
                                       std::string_view plugin, std::string_view text) {
  std::string message = "<132>1 - - i3-gateway - " + std::string(plugin) + " - ";
  for (const char c : text.substr(0, 1000)) message += c >= ' ' && c < 0x7f ? c : '?';
  const std::size_t udp_size = kUdpHeaderSize + message.size();
  std::vector<std::uint8_t> packet(kIpv4HeaderSize + udp_size);
  const auto size16 = [](std::size_t size) { return static_cast<std::uint16_t>(size); };
  const auto write = [&](std::uint16_t ip_checksum, std::uint16_t udp_checksum) {
    Writer writer(packet);
    writer.u16(0x4500);
    writer.u16(size16(packet.size()));
    writer.u32(0);
    writer.u16(64 << 8 | ip_protocol::kUdp);
    writer.u16(ip_checksum);
    writer.u32(from.to_v4());
    writer.u32(to.to_v4());
    writer.u16(kSyslogPort);
    writer.u16(kSyslogPort);
    writer.u16(size16(udp_size));
    writer.u16(udp_checksum);
    writer.bytes(as_bytes(message));
    assert(writer.ok());
  };
  write(0, 0);
  const Bytes bytes(packet);
  const auto checksum = [](ChecksumSum sum) { return static_cast<std::uint16_t>(~fold(sum)); };
  const std::uint16_t udp = checksum(sum_of(
      bytes.subspan(kIpv4HeaderSize), pseudo_header_sum(from, to, ip_protocol::kUdp, udp_size)));
  write(checksum(sum_of(bytes.first(kIpv4HeaderSize))), udp == 0 ? 0xffff : udp);
  return packet;
}

}  // namespace i3
