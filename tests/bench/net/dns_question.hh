// Owns the question that the benchmarks of names ask.
#pragma once

#include <string>
#include <vector>

#include "overlay/base/bytes.hh"

namespace i3 {

// RFC 1035, 4.1: header, then one question of class IN.
inline std::vector<std::uint8_t> dns_question(std::uint16_t id, const std::string& name,
                                              std::uint16_t type) {
  std::vector<std::uint8_t> bytes(512);
  Writer writer(bytes);
  writer.u16(id);
  writer.u16(0x0100);  // recursion desired
  writer.u16(1);
  writer.zeros(6);
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    writer.u8(static_cast<std::uint8_t>(dot - at));
    writer.bytes(as_bytes(name).subspan(at, dot - at));
    at = dot + 1;
  }
  writer.u8(0);
  writer.u16(type);
  writer.u16(1);
  bytes.resize(writer.written().size());
  return bytes;
}

}  // namespace i3
