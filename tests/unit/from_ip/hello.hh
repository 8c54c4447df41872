// Owns making ClientHellos for tests.
#pragma once

#include <string>
#include <vector>

#include "overlay/base/bytes.hh"

namespace i3::test {

struct Hello {
  std::string name;          // empty: no such extension
  std::string name_again{};  // a second extension of the kind
  bool encrypted = false;
};

inline void append_name(std::vector<std::uint8_t>& out, const std::string& name) {
  std::vector<std::uint8_t> buffer(9 + name.size());
  Writer writer(buffer);
  writer.u16(0);
  writer.u16(static_cast<std::uint16_t>(name.size() + 5));
  writer.u16(static_cast<std::uint16_t>(name.size() + 3));
  writer.u8(0);
  writer.u16(static_cast<std::uint16_t>(name.size()));
  writer.bytes(as_bytes(name));
  out.insert(out.end(), buffer.begin(), buffer.end());
}

// The handshake message.
inline std::vector<std::uint8_t> hello_message(const Hello& hello) {
  std::vector<std::uint8_t> extensions{0, 43, 0, 3, 2, 3, 4};  // TLS 1.3
  if (!hello.name.empty()) append_name(extensions, hello.name);
  if (!hello.name_again.empty()) append_name(extensions, hello.name_again);
  if (hello.encrypted) extensions.insert(extensions.end(), {0xfe, 0x0d, 0, 2, 1, 2});
  std::vector<std::uint8_t> message(4 + 2 + 32 + 1 + 32 + 2 + 4 + 2 + 2 + extensions.size());
  Writer writer(message);
  writer.u8(1);
  writer.u8(0);
  writer.u16(static_cast<std::uint16_t>(message.size() - 4));
  writer.u16(0x0303);
  writer.zeros(32);
  writer.u8(32);
  writer.zeros(32);
  writer.u16(4);
  writer.u32(0x13011302);
  writer.u16(0x0100);
  writer.u16(static_cast<std::uint16_t>(extensions.size()));
  writer.bytes(extensions);
  return message;
}
inline std::vector<std::uint8_t> hello_message(const std::string& name) {
  return hello_message(Hello{name});
}

inline std::vector<std::uint8_t> in_records(Bytes message, std::size_t piece) {
  std::vector<std::uint8_t> out;
  while (!message.empty()) {
    const std::size_t size = std::min(piece, message.size());
    out.insert(out.end(), {22, 3, 1, static_cast<std::uint8_t>(size >> 8),
                           static_cast<std::uint8_t>(size & 0xff)});
    out.insert(out.end(), message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
    message = message.subspan(size);
  }
  return out;
}
inline std::vector<std::uint8_t> client_hello(const std::string& name) {
  return in_records(hello_message(name), 16384);
}

}  // namespace i3::test
