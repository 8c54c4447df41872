#include "overlay/base/id.hh"

#include <bit>

namespace i3 {

RingId RingId::plus_power(unsigned bit) const {
  assert(bit < 128);
  RingId result = *this;
  if (bit >= 64) {
    result.high += std::uint64_t{1} << (bit - 64);
  } else {
    result.low += std::uint64_t{1} << bit;
    if (result.low < low) ++result.high;
  }
  return result;
}

RingId RingId::minus(RingId from) const {
  return {high - from.high - (low < from.low ? 1 : 0), low - from.low};
}

bool RingId::in_half_open(RingId from, RingId to) const {
  if (from == to) return true;
  return *this != from && minus(from) <= to.minus(from);
}

bool RingId::in_open(RingId from, RingId to) const {
  if (*this == from) return false;
  if (from == to) return true;
  return minus(from) < to.minus(from);
}

std::string RingId::hex() const {
  std::array<std::uint8_t, 16> bytes;
  Writer writer(bytes);
  write(writer);
  return i3::hex(bytes);
}

unsigned Id::common_prefix(const Id& other) const {
  for (unsigned i = 0; i < kSize; ++i) {
    if (auto difference = static_cast<std::uint8_t>(bytes[i] ^ other.bytes[i]))
      return i * 8 + static_cast<unsigned>(std::countl_zero(difference));
  }
  return kSize * 8;
}

std::string Id::hex() const {
  return i3::hex(bytes);
}

std::optional<Id> Id::from_hex(std::string_view text) {
  if (text.size() != 2 * kSize) return std::nullopt;
  Id id;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    id.bytes[i / 2] = static_cast<std::uint8_t>(id.bytes[i / 2] << 4 | digit);
  }
  return id;
}

std::string hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace i3
