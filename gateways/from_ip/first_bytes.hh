// Owns reading whom a client wants from the first bytes that it sends: a TLS ClientHello's server
// name, an HTTP request's Host. Pure: the whole beginning of the stream goes in each time.
#pragma once

#include <string>

#include "overlay/base/bytes.hh"

namespace i3 {

// Longer beginnings are read no further: a browser's ClientHello has 2 KB, a request with large
// cookies 8 KB.
inline constexpr std::size_t kMaxFirstBytes = 32768;

struct FirstBytes {
  enum class State {
    more,      // so far well-formed: ask again when the stream has `needed` bytes
    named,     // `name` is what the client asks for
    nameless,  // complete, and names nobody
    other,     // not this protocol, or broken
  };
  State state = State::more;
  std::string name{};      // lower case, no port, no trailing dot; letters, digits, - and _ only
  bool encrypted = false;  // TLS: an encrypted ClientHello is inside, `name` is the outer one
  std::size_t needed = 0;  // with `more`: greater than the stream's size
};

// RFC 8446 4.1.2, RFC 6066 3: over as many records as it takes. The version is not looked at.
FirstBytes read_tls_hello(Bytes stream);

// RFC 9112: the target's authority where there is one, else the one Host field. Two Host fields, a
// blank before the colon or a folded one are `other`.
FirstBytes read_http_host(Bytes stream);
// Can it say more than it did of the first `before` bytes, for which it asked for more? A head is
// read again when its request line or the head itself is whole, not for every segment.
bool http_host_may_show(Bytes stream, std::size_t before);

// The name in "host", "host:80" or "host." as above; empty if it is none, such as an address.
std::string host_of_authority(std::string_view authority);

}  // namespace i3
