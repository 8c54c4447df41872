// Owns what two hosts tell each other inside their session: in the handshake and afterwards.
#pragma once

#include "overlay/wire/carriers.hh"
#include "overlay/wire/contact.hh"
#include "overlay/wire/middlebox.hh"

namespace i3::wire {

// Where a host is reached by one peer: its private trigger for that peer and the nodes that hold
// it, best first; a zero label means "use the ID".
//  ID 32 | count 1 | (contact | label 8) each, at most 3
struct ReturnPath {
  static constexpr std::size_t kMaxNodes = 3;
  struct At {
    NodeContact node;
    Label label;
    bool operator==(const At&) const = default;
  };
  Id id;
  std::vector<At> nodes;

  static ReturnPath read(Reader& reader);
  void write(Writer& writer) const;
  bool operator==(const ReturnPath&) const = default;
};

// The host's part of both handshake payloads.
//  flags 1 (bit 0 shortcuts welcome, 1 to a middle-box, 2 from a middle-box, 3 redirect, 4 by a
//  stop) | IPv4 4 | IPv6 16 | inner MTU 2 | return path | count 1 and candidate endpoints 18 each
//  (at most 8) | through 104, if bit 1 or 2 | redirect 104, if bit 3 | stop 32, if bit 4 | early
//  packet: the rest
struct Hello {
  static constexpr std::size_t kMaxCandidates = 8;
  bool shortcuts = false;
  std::uint32_t ipv4 = 0;  // announced virtual address; 0: none
  std::array<std::uint8_t, 16> ipv6{};
  std::uint16_t mtu = 1400;
  ReturnPath path;
  std::vector<Endpoint> candidates;
  std::optional<Through> through;    // this session is half of a conversation through a middle-box
  std::optional<Redirect> redirect;  // "reach me so"; or what a middle-box is shown of that
  // The ID to be put before the return path's, which is one that only the box there can read
  // (pass.hh). Then neither nodes nor candidates are told, and no shortcuts are welcome.
  std::optional<Id> stop;
  Bytes early;  // borrowed; empty: none

  static std::optional<Hello> parse(Bytes payload);
  void write(Writer& writer) const;
};

// The plaintext of a transport message is an IP packet (first nibble 4 or 6), empty (keep-alive)
// or a control message with one of these as its first byte.
enum class Control : std::uint8_t {
  path_challenge = 1,  // nonce 8: answer over the way it came
  path_response =
      2,      // nonce 8 | endpoint that the challenge was seen to come from 18 (zero if relayed)
  paths = 3,  // sequence 8 | Hello without early packet: replaces what was said before
  paths_ack = 4,  // sequence 8
  ping = 5,       // nonce 8
  pong = 6,       // nonce 8
  close = 7,      // the sender forgets this session
};

struct NonceControl {
  Control type{};
  std::uint64_t nonce = 0;
  // For the types whose body is one 8-byte number.
  static std::optional<NonceControl> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

struct PathResponse {
  std::uint64_t nonce = 0;
  Endpoint observed;
  static std::optional<PathResponse> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

struct Paths {
  std::uint64_t sequence = 0;
  Hello hello;
  static std::optional<Paths> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
