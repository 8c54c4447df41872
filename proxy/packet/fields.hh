// Owns bounded access to big-endian fields inside a packet that is changed in place.
#pragma once

#include "overlay/base/bytes.hh"

namespace i3 {

// Reads past the end yield zero and writes past it do nothing, like Reader and Writer.
inline std::uint8_t load8(Bytes bytes, std::size_t offset) {
  return offset < bytes.size() ? bytes[offset] : std::uint8_t{0};
}
inline std::uint16_t load16(Bytes bytes, std::size_t offset) {
  if (bytes.size() < 2 || offset > bytes.size() - 2) return 0;
  return static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}
inline std::uint32_t load32(Bytes bytes, std::size_t offset) {
  return std::uint32_t{load16(bytes, offset)} << 16 | load16(bytes, offset + 2);
}
inline void store8(MutBytes bytes, std::size_t offset, std::uint8_t value) {
  if (offset < bytes.size()) bytes[offset] = value;
}
inline void store16(MutBytes bytes, std::size_t offset, std::uint16_t value) {
  if (bytes.size() < 2 || offset > bytes.size() - 2) return;
  bytes[offset] = static_cast<std::uint8_t>(value >> 8);
  bytes[offset + 1] = static_cast<std::uint8_t>(value);
}
inline void store32(MutBytes bytes, std::size_t offset, std::uint32_t value) {
  store16(bytes, offset, static_cast<std::uint16_t>(value >> 16));
  store16(bytes, offset + 2, static_cast<std::uint16_t>(value));
}

}  // namespace i3
