// Owns how settings and invitations name a node to start from.
#pragma once

#include <optional>

#include "overlay/base/endpoint.hh"
#include "overlay/base/keys.hh"

namespace i3 {

// How to reach a node at first. With a key, a node that cannot sign with it is refused; without
// one the node is believed whoever it is.
struct EntryNode {
  Endpoint address;
  std::optional<PublicKey> key;
  std::uint16_t tls_port = 443;  // where it may serve TLS, until it says so itself
  bool operator==(const EntryNode&) const = default;
};

}  // namespace i3
