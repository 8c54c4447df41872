// Owns through which middle-box each peer is reached, by this host's wish or by the peer's, and who
// may speak for whom (docs/DESIGN.md, decision 26).
#pragma once

#include "proxy/host/directory.hh"
#include "proxy/host/rendezvous.hh"

namespace i3 {

// A peer's sessions are with its `partner`: itself, or a middle-box. The settings decide, then what
// the peer asked for (a redirect), then what it does itself (its first message came by one).
class Boxes {
 public:
  Boxes(HostParts& parts, const Directory& directory, Courier& courier, Rendezvous& rendezvous)
      : parts_(parts), directory_(directory), courier_(courier), rendezvous_(rendezvous) {}

  // The middle-box that a conversation with that host must go through; none: its own affair. Of a
  // group: the one that it goes through already, as long as that stands, else who stands for the
  // group; the group's key while nobody does.
  std::optional<PublicKey> required(const PublicKey& key, TimePoint now) const;
  // The group whose members that conversation may go through, if it is a group.
  std::optional<PublicKey> group_for(const PublicKey& key) const;
  // Whether a conversation that must go through `box` may come by that one.
  bool serves(const PublicKey& key, const PublicKey& box, const PublicKey& one,
              TimePoint now) const;
  // Whether `box`, which shook hands, may speak for `through.other` to this host.
  bool may_speak(const PublicKey& box, const wire::Through& through) const;
  // Before a handshake of ours, and after the settings were read again.
  void settle(Peer& peer, TimePoint now);
  // Sessions are with another one from now on; those with the last one end. `theirs`: by the peer's
  // own wish.
  void take_partner(Peer& peer, const PublicKey& partner, bool theirs, TimePoint now);
  // What stands with the peer ends, and its way in.
  void end_sessions(Peer& peer, TimePoint now);
  // Another one could take its middle-box's place.
  bool replaceable(const Peer& peer) const {
    return !peer.leg && (peer.partner_is_theirs || peer.redirect || group_for(peer.key));
  }
  // The peer's middle-box does not answer its first messages; it was given up. True where there is
  // another way, which is taken from now on.
  void doubt(Peer& peer, TimePoint now);
  bool other_way(Peer& peer, TimePoint now);
  // What a first message says of middle-boxes.
  void add_box(Peer& peer, wire::Hello& hello) const;
  // The peer asked to be reached by a middle-box. False if it may not ask that.
  bool follow(Peer& peer, const wire::Redirect& redirect, TimePoint now);

 private:
  std::optional<PublicKey> named(const PublicKey& key) const;

  HostParts& parts_;
  const Directory& directory_;
  Courier& courier_;
  Rendezvous& rendezvous_;
};

// What a middle-box does with the packets of others. Its host asks.
class Middle {
 public:
  virtual ~Middle() = default;
  // May this host have conversations through here?
  virtual bool admits(const PublicKey& end) const = 0;
  // A packet from one end for the other, in the addresses that the host gives them; borrowed for
  // the call. What shall go on is given to Host::forward, now or later.
  virtual void inspect(const PublicKey& from, const PublicKey& to, MutBytes packet) = 0;
};

// Conversations through a middle-box, altogether and of one end.
inline constexpr std::size_t kMaxConversations = 16384;
inline constexpr std::size_t kMaxConversationsOfOne = 2048;
// Where a middle-box fails, another way is tried at most that often.
inline constexpr Duration kOtherWayEvery = std::chrono::seconds(8);
// A middle-box of a group that was heard so lately is there.
inline constexpr Duration kKnownThere = std::chrono::seconds(1);
// A middle-box says to an end that an address means nothing to it at most that often.
inline constexpr Duration kUnknownEvery = std::chrono::seconds(1);

}  // namespace i3
