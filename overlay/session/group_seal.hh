// Owns the sealing of packets for a multicast group: all members share a secret, each sender has a
// key of its own under it, each receiver a replay window for each sender (docs/PROTOCOL.md,
// 'Multicast').
#pragma once

#include <memory>
#include <unordered_map>

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"
#include "overlay/session/replay_window.hh"
#include "overlay/wire/group.hh"

namespace i3 {

using GroupSecret = std::array<std::uint8_t, 32>;

// What members know: the group's key as books name it, and a further secret if there is one.
GroupSecret group_secret(const PublicKey& key, const std::optional<GroupSecret>& further);
// Who owns the group's triggers: every member can make delegations for itself.
std::unique_ptr<Identity> group_owner(const GroupSecret& secret);

class GroupSealer {
 public:
  // `start` and `salt` never come twice for a sender: wall time and a random number.
  GroupSealer(const GroupSecret& secret, const PublicKey& sender, std::uint64_t start,
              std::uint64_t salt);
  ~GroupSealer();
  GroupSealer(const GroupSealer&) = delete;
  GroupSealer& operator=(const GroupSealer&) = delete;

  static constexpr std::size_t kOverhead = wire::GroupData::kFront + wire::GroupData::kTag;
  // `message` is kFront bytes of room, the packet, and room for the tag. False when no counter is
  // left.
  bool seal(MutBytes message);

 private:
  GroupSecret key_;
  wire::GroupData front_;
};

class GroupOpener {
 public:
  static constexpr std::size_t kMaxSenders = 256;
  // Of a sender that was silent for so long everything is forgotten, so that one whose clock went
  // back is heard again.
  static constexpr Duration kForgetAfter = std::chrono::hours(1);

  explicit GroupOpener(const GroupSecret& secret) : secret_(secret) {}
  ~GroupOpener();
  GroupOpener(const GroupOpener&) = delete;
  GroupOpener& operator=(const GroupOpener&) = delete;

  enum class Result : std::uint8_t { opened, malformed, replayed, older_start, not_authentic };
  struct Opened {
    Result result{};
    PublicKey sender;
    MutBytes packet;  // inside `message`, where opened
  };
  Opened open(MutBytes message, TimePoint now);
  std::size_t senders() const { return senders_.size(); }

 private:
  struct Sender {
    GroupSecret key{};
    std::uint64_t start = 0, salt = 0;
    ReplayWindow window;
    TimePoint heard{};
  };
  void make_room(TimePoint now);

  GroupSecret secret_;
  std::unordered_map<PublicKey, Sender> senders_;
};

}  // namespace i3
