// Owns TLS as tunnels use it: 1.3 only, the node's certificate bears the node's own Ed25519 key,
// and no certificate authority has a say.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <optional>

#include "overlay/base/keys.hh"

namespace i3 {

// For a node: a certificate that its identity signs itself. Whoever finishes a handshake with it
// talks to who holds that key. Throws std::runtime_error where OpenSSL fails.
boost::asio::ssl::context node_tls_context(const Identity& identity);
// For a host: takes any certificate; the caller compares peer_key() with the key that it expects.
boost::asio::ssl::context host_tls_context();

// The key that the other end has proved in the handshake; nothing if it is no Ed25519 key.
std::optional<PublicKey> peer_key(const SSL* connection);

}  // namespace i3
