// Owns the arithmetic of the Internet checksum.
#include "proxy/packet/checksum.hh"

namespace i3 {

ChecksumSum sum_of(Bytes bytes, ChecksumSum sum) {
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) sum += load32(bytes, at);
  if (at + 2 <= bytes.size()) {
    sum += load16(bytes, at);
    at += 2;
  }
  if (at < bytes.size()) sum += static_cast<std::uint32_t>(bytes[at]) << 8;
  return sum;
}

ChecksumSum pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                              std::uint8_t protocol, std::size_t length) {
  const std::size_t skip = source.is_v4() ? 12 : 0;  // the mapped form's prefix is not sent
  ChecksumSum sum = sum_of(Bytes(source.bytes).subspan(skip));
  sum = sum_of(Bytes(destination.bytes).subspan(skip), sum);
  return sum + protocol + length;
}

void ChecksumDelta::replace(Bytes from, Bytes to) {
  for (std::size_t at = 0; at + 2 <= from.size(); at += 2)
    replace16(load16(from, at), load16(to, at));
}

}  // namespace i3
