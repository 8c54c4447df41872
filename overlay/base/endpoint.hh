// Owns underlay addresses: an IP address and a port, without any system header.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>

#include "overlay/base/bytes.hh"

namespace i3 {

// An IPv6 address, or an IPv4 one in its mapped form (::ffff:a.b.c.d, RFC 4291 2.5.5.2).
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  // `host` is the address as an integer, most significant octet first.
  static IpAddress v4(std::uint32_t host);
  static IpAddress v6(const std::array<std::uint8_t, 16>& octets) { return {octets}; }
  // Literal without port, brackets or zone; nothing if the text is neither family.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  std::uint32_t to_v4() const;  // requires is_v4()
  bool unspecified() const;     // :: or 0.0.0.0
  bool loopback() const;
  bool multicast() const;
  bool link_local() const;
  // RFC 1918, RFC 6598, RFC 2544 (198.18.0.0/15), fc00::/7: no use to a host elsewhere.
  bool is_private() const;
  std::string text() const;

  auto operator<=>(const IpAddress&) const = default;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "203.0.113.7:5100" or "[2001:db8::1]:5100".
  static std::optional<Endpoint> parse(std::string_view text);
  std::string text() const;
  bool valid() const { return port != 0 && !address.unspecified(); }

  auto operator<=>(const Endpoint&) const = default;
};

// What limits and quotas count by: the /32 of IPv4, the /56 of IPv6 (docs/DESIGN.md, decision 10).
IpAddress limit_prefix(const IpAddress& address);

}  // namespace i3

template <>
struct std::hash<i3::IpAddress> {
  std::size_t operator()(const i3::IpAddress& address) const noexcept {
    std::uint64_t high, low;
    std::memcpy(&high, address.bytes.data(), 8);
    std::memcpy(&low, address.bytes.data() + 8, 8);
    std::uint64_t mixed = (high ^ (low * 0x9e3779b97f4a7c15ull)) * 0xbf58476d1ce4e5b9ull;
    return mixed ^ (mixed >> 31);
  }
};
template <>
struct std::hash<i3::Endpoint> {
  std::size_t operator()(const i3::Endpoint& endpoint) const noexcept {
    return std::hash<i3::IpAddress>{}(endpoint.address) ^ (endpoint.port * 0x94d049bb133111ebull);
  }
};
