// Owns the arithmetic of the Internet checksum.
#include "proxy/packet/checksum.hh"

#include <bit>

namespace i3 {

// In the machine's own byte order, eight bytes a step, for the sum does not mind (RFC 1071, 2 B);
// turned round once at the end.
ChecksumSum sum_of(Bytes bytes, ChecksumSum sum) {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  const auto word = [](const std::uint8_t* from) {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  // One's complement in 64 bits: what is carried out comes in again below.
  const auto add = [](std::uint64_t& to, std::uint64_t value) {
    to += value;
    to += to < value ? 1 : 0;
  };
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  for (; left >= 32; at += 32, left -= 32) {
    add(a, word(at));
    add(b, word(at + 8));
    add(c, word(at + 16));
    add(d, word(at + 24));
  }
  for (; left >= 8; at += 8, left -= 8) add(a, word(at));
  std::array<std::uint8_t, 8> rest{};
  std::copy_n(at, left, rest.begin());
  add(b, word(rest.data()));
  add(a, b);
  add(c, d);
  add(a, c);
  const std::uint16_t folded = fold(a);
  if constexpr (std::endian::native == std::endian::big) return sum + folded;
  return sum + static_cast<std::uint16_t>(folded << 8 | folded >> 8);
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
