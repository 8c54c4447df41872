// Owns invitations: everything somebody needs to meet this host, as one line to paste
// (DESIGN.md, decision 28). A name card is an invitation without entry nodes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/keys.hh"
#include "overlay/base/xml/node_settings.hh"

namespace i3 {

struct InvitedNode {
  std::vector<Endpoint> addresses;  // 1 to 4 ways to one node
  std::optional<PublicKey> key;
  bool operator==(const InvitedNode&) const = default;
};

// Text: "i3-invite:" and base32 of
//   1 version (1)  1 flags (1: operator key)  1 name size  name  32 key  4 IPv4  16 IPv6
//   [32 operator key]  1 node count, then for each node:
//     1 flags and address count (0x80: key; low bits: 1 to 4)  [32 key]  each address:
//       1 family (4 or 6)  4 or 16 address  2 port
//   4 checksum: BLAKE2b("i3 invitation", everything before)
struct Invitation {
  static constexpr std::string_view kPrefix = "i3-invite:";
  static constexpr std::size_t kMaximumNodes = 16;
  static constexpr std::size_t kMaximumAddresses = 4;
  static constexpr std::size_t kMaximumText = 8192;

  std::string name;
  PublicKey key;
  std::optional<IpAddress> ipv4;  // virtual addresses that the host announces
  std::optional<IpAddress> ipv6;
  std::optional<PublicKey> operator_key;
  std::vector<InvitedNode> nodes;

  bool operator==(const Invitation&) const = default;

  // One line without blanks. At most kMaximumNodes nodes are written.
  std::string encode() const;
  // Accepts blanks and line breaks that mail or a terminal put into it, and upper case. Nothing,
  // and a reason for people in `why`, for anything else.
  static std::optional<Invitation> decode(std::string_view text, std::string& why);
  // Each address as an entry node.
  std::vector<EntryNode> entry_nodes() const;
};

}  // namespace i3
