// Owns the framing of DNS over TCP: two octets of length before each message (RFC 1035 4.2.2).
#pragma once

#include <vector>

#include "overlay/base/bytes.hh"

namespace i3 {

// Cuts a byte stream into messages. Holds at most one message and what one read brought.
class DnsStream {
 public:
  // Where the next bytes of the stream go; followed by received(). Invalidates messages.
  MutBytes space();
  void received(std::size_t size);

  // The next whole message, to be changed in place at will, valid until space() is called; empty
  // when there is none yet.
  MutBytes next();
  // A length that cannot be a DNS message was read: close the connection.
  bool broken() const { return broken_; }

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  bool broken_ = false;
};

}  // namespace i3
