// Owns what a host and its gateway say about names inside their session.
#pragma once

#include <string>

#include "overlay/wire/hello.hh"

namespace i3::wire {

// Further values of Control (hello.hh).
inline constexpr Control kNameQuestion{8}, kNameFound{9}, kUnknownAddress{10};

// "What addresses has this name?" Repeated with the same nonce until answered.
//  8 | nonce 8 | families 1 (bit 0 IPv4, bit 1 IPv6) | name: the rest, 1 to 253 bytes
struct NameQuestion {
  static constexpr std::size_t kMaxName = 253;
  std::uint64_t nonce = 0;
  std::uint8_t families = 3;
  std::string name;  // one that fits()

  // Lower case, printable ASCII, no blank, without a final dot. Not every name of the DNS is so: a
  // label may end in an escaped dot.
  static bool fits(std::string_view name);
  static std::optional<NameQuestion> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

// The addresses are the gateway's own for this name and this host: what packets inside the session
// bear. None of a family: the name has no address of it.
//  9 | nonce 8 | DNS rcode 1 | families 1 | IPv4 4 if bit 0 | IPv6 16 if bit 1 | lifetime_s 4
struct NameFound {
  std::uint64_t nonce = 0;
  std::uint8_t rcode = 0;
  std::optional<IpAddress> ipv4, ipv6;
  std::uint32_t lifetime_s = 0;

  static std::optional<NameFound> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

// "A packet came for an address that stands for nothing here": ask for the name again.
//  10 | address 16 (IPv4 mapped)
struct UnknownAddress {
  IpAddress address;

  static std::optional<UnknownAddress> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
