// Owns blocks of IP addresses.
#pragma once

#include <string>

#include "overlay/base/endpoint.hh"

namespace i3 {

// A block of addresses of one family.
struct IpPrefix {
  IpAddress address;    // host bits zero
  unsigned length = 0;  // in bits of the family: at most 32 or 128

  // "100.64.0.0/10", "fd00::/8", or an address alone for a block of one. Nothing, and in `error`
  // what is wrong and what would be right, for anything else, host bits that are set included.
  static std::optional<IpPrefix> parse(std::string_view text, std::string& error);
  bool contains(const IpAddress& other) const;
  bool overlaps(const IpPrefix& other) const;
  bool is_v4() const { return address.is_v4(); }
  std::string text() const;

  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace i3
