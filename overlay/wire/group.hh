// Owns the messages of groups: who is there, the answer, and a packet for all members.
#pragma once

#include "overlay/wire/insert.hh"

namespace i3::wire {

// Kinds of the carriers `packet` and `returned`, beside those of sessions.
inline constexpr std::uint8_t kGroupAsk = 8;     // packet, to a group's ID, nearest
inline constexpr std::uint8_t kGroupAnswer = 9;  // returned, from a member
inline constexpr std::uint8_t kGroupData = 10;   // packet, to a multicast group's ID

// Who of this group is there? As long as kAnswers answers and what the node says of it, which are
// paid from what the asker sent.
//  nonce 8 | zeros 616
struct GroupAsk {
  static constexpr std::uint8_t kAnswers = 4;
  static constexpr std::size_t kSize = 624;
  std::uint64_t nonce = 0;

  static std::optional<GroupAsk> parse(Bytes payload);
  void write(Writer& writer) const;
};

// I am, and the group's key says that I may.
//  nonce 8 of the ask | delegation 121
struct GroupAnswer {
  static constexpr std::size_t kSize = 8 + Delegation::kSize;
  std::uint64_t nonce = 0;
  Delegation delegation;

  static std::optional<GroupAnswer> parse(Bytes payload);
  void write(Writer& writer) const;
};

// What stands before a sealed packet for a group; all of it is authenticated with the packet.
//  sender's key 32 | its start 8 (wall, ns) | salt 8 | counter 8 | sealed packet n | tag 16
struct GroupData {
  static constexpr std::size_t kFront = 32 + 8 + 8 + 8;
  static constexpr std::size_t kTag = 16;
  PublicKey sender;
  std::uint64_t start = 0;
  std::uint64_t salt = 0;
  std::uint64_t counter = 0;
  Bytes sealed;  // with its tag; borrowed

  static std::optional<GroupData> parse(Bytes payload);
  void write_front(Writer& writer) const;
};

}  // namespace i3::wire
