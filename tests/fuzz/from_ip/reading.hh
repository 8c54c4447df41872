// Owns what must hold of every reader of first bytes.
#pragma once

#include "gateways/from_ip/first_bytes.hh"
#include "tests/fuzz/must.hh"

namespace i3::fuzz {

// `read` on a stream and on its beginnings: never asks for what it has, a name is a name, and what
// was decided stays decided whatever follows.
template <class Read>
void check_reader(Bytes stream, Read read) {
  const FirstBytes whole = read(stream);
  must((whole.state == FirstBytes::State::named) == !whole.name.empty(), "only named has a name");
  must(whole.name.size() <= 253, "a name is no longer than names are");
  for (char c : whole.name)
    must((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.',
         "a name has a name's characters");
  if (whole.state == FirstBytes::State::more)
    must(whole.needed > stream.size() && whole.needed <= kMaxFirstBytes + 1, "needs more, bounded");
  const std::size_t step = stream.size() / 64 + 1;
  for (std::size_t size = 0; size < stream.size(); size += step) {
    const FirstBytes part = read(stream.first(size));
    if (part.state == FirstBytes::State::more) {
      must(part.needed > size, "asks for more than it has");
      continue;
    }
    must(part.state == whole.state && part.name == whole.name, "what is decided stays");
  }
}

}  // namespace i3::fuzz
