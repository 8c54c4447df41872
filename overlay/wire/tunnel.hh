// Owns the frames of a tunnel: datagrams of a host whose UDP is blocked, over TLS to a node.
#pragma once

#include <variant>

#include "overlay/wire/contact.hh"
#include "overlay/wire/header.hh"

namespace i3::wire {

//  length 2 (of kind and body) | kind 1 | body
enum class FrameKind : std::uint8_t { hello = 1, welcome = 2, datagram = 3, ping = 4, pong = 5 };

inline constexpr std::size_t kFrameHead = 2;
// A longer frame ends its connection.
inline constexpr std::size_t kMaxFrame = 1 + kEndpointSize + kMaxMessage;

// host -> node, first: "i3tunnel" 8 | version 1
struct TunnelHello {
  static constexpr std::string_view kMagic = "i3tunnel";
  static constexpr std::uint8_t kVersion = 1;
  static TunnelHello read(Reader& reader);
  void write(Writer& writer) const;
  bool operator==(const TunnelHello&) const = default;
};

// node -> host, the answer: families 1 (bit 0 IPv4, bit 1 IPv6) | where the node sees the
// connection come from 18 | contact
struct TunnelWelcome {
  bool v4 = false, v6 = false;  // families of nodes that it relays to
  Endpoint observed;
  NodeContact contact;
  static TunnelWelcome read(Reader& reader);
  void write(Writer& writer) const;
  bool operator==(const TunnelWelcome&) const = default;
};

// Either way: the node that it is for, or came from, 18 | message 1 to kMaxMessage
struct TunnelDatagram {
  Endpoint node;
  Bytes message;  // borrowed from the frame
  static TunnelDatagram read(Reader& reader);
  void write(Writer& writer) const;
};

// Either way; a pong bears the ping's nonce: nonce 8
struct TunnelPing {
  bool answer = false;
  std::uint64_t nonce = 0;
  bool operator==(const TunnelPing&) const = default;
};

using Frame = std::variant<TunnelHello, TunnelWelcome, TunnelDatagram, TunnelPing>;

// `frame` is kind and body, without the length. Nothing for one that is no frame of these.
std::optional<Frame> parse_frame(Bytes frame);
// With the length.
void write_frame(Writer& writer, const Frame& frame);

}  // namespace i3::wire
