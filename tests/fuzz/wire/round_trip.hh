// Owns the property of every parser: what it accepts, its writer writes back byte for byte.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "overlay/wire/header.hh"

namespace i3::fuzz {

// `write(message, writer)` defaults to message.write(writer).
template <class Message>
void round_trip(Bytes input) {
  const auto message = Message::parse(input);
  if (!message) return;
  std::vector<std::uint8_t> buffer(input.size() + 64);
  Writer writer(buffer);
  message->write(writer);
  if (writer.ok() && writer.size() == input.size() &&
      std::equal(input.begin(), input.end(), buffer.begin()))
    return;
  std::fprintf(stderr, "a message was accepted that its writer writes otherwise\n");
  std::abort();
}

}  // namespace i3::fuzz
