// Owns how a node is named in messages: its key and where it is reached.
#pragma once

#include <optional>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/keys.hh"

namespace i3::wire {

// An endpoint in messages: 16 address bytes (IPv4 mapped) and 2 port bytes.
inline constexpr std::size_t kEndpointSize = 18;
Endpoint read_endpoint(Reader& reader);
void write_endpoint(Writer& writer, const Endpoint& endpoint);

//  key 32 | places 1 (k in bits 0-2, has IPv4 bit 3, has IPv6 bit 4, has TLS bit 5)
//  | IPv4 4 + port 2, if any | IPv6 16 + port 2, if any | TLS port 2, if any
struct NodeContact {
  static constexpr std::size_t kMaxSize = 32 + 1 + 6 + 18 + 2;
  static constexpr std::uint8_t kMaxK = 7;

  PublicKey key;
  std::uint8_t k = 0;
  std::optional<Endpoint> v4;
  std::optional<Endpoint> v6;
  std::uint16_t tls_port = 0;  // 0: none

  // Fails the reader on a contact without an address, an IPv4-mapped IPv6 address, a zero port or
  // reserved bits.
  static NodeContact read(Reader& reader);
  void write(Writer& writer) const;

  // The node's place: BLAKE2b-128("i3 ring id", key, prefix of its first address, k). The prefix
  // is the /24 of IPv4, else the /48 of IPv6, so that places cannot be ground next to a victim
  // (docs/DESIGN.md, decision 7).
  RingId ring_id() const;
  // The address to use from a host that has the families given; nothing if none fits.
  std::optional<Endpoint> reachable(bool have_v4, bool have_v6) const;
  const Endpoint& primary() const { return v4 ? *v4 : *v6; }
  // True if a datagram from `from` may be this node's.
  bool owns(const Endpoint& from) const { return (v4 && *v4 == from) || (v6 && *v6 == from); }

  bool operator==(const NodeContact&) const = default;
};

// count 1 | contacts. Fails the reader on more than `max`.
std::vector<NodeContact> read_contacts(Reader& reader, std::size_t max);
void write_contacts(Writer& writer, const std::vector<NodeContact>& contacts);

// An operator's word that a key may be a member of its ring: expiry 8 (wall, ns) | signature 64
// over "i3 member v1" || key || expiry.
struct Membership {
  static constexpr std::size_t kSize = 72;
  std::uint64_t expiry = 0;
  Signature signature{};

  static Membership read(Reader& reader);
  void write(Writer& writer) const;
  static Membership issue(const Identity& operator_key, const PublicKey& member,
                          std::uint64_t expiry);
  bool valid(const PublicKey& operator_key, const PublicKey& member, std::uint64_t wall) const;
  bool operator==(const Membership&) const = default;
};

}  // namespace i3::wire
