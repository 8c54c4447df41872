// Owns a stranger's first message to a host: made for the host's key, and worth nothing else.
#pragma once

#include "overlay/session/sessions.hh"
#include "overlay/wire/hello.hh"

namespace i3::bench {

// As a datagram straight to the host; empty where `stranger` cannot. A later stamp each time.
inline std::vector<std::uint8_t> first_message(Sessions& stranger, const PublicKey& host,
                                               std::uint64_t stamp, TimePoint now) {
  std::vector<std::uint8_t> out(wire::kDirectSize + 2048);
  Writer writer(out);
  wire::Direct::write_front(writer, static_cast<std::uint8_t>(SessionKind::first));
  std::array<std::uint8_t, 512> payload;
  Writer hello(payload);
  wire::Hello{}.write(hello);
  const std::size_t size = stranger.initiate(1, host, kNoPsk, stamp, hello.written(),
                                             MutBytes(out).subspan(wire::kDirectSize), now);
  out.resize(size == 0 ? 0 : wire::kDirectSize + size);
  return out;
}

}  // namespace i3::bench
