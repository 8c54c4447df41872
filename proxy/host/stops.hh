// Owns by which boxes sealed packets go to each peer and come from it (docs/DESIGN.md, decision
// 26): this host's wish, the peer's, the passes that this host makes, and whether a packet came as
// it had to.
#pragma once

#include <map>
#include <span>

#include "overlay/wire/pass.hh"
#include "proxy/host/directory.hh"
#include "proxy/host/parts.hh"

namespace i3 {

// The box is no end of any session: it sees IDs and sealed bytes.
class Stops {
 public:
  Stops(HostParts& parts, const Directory& directory) : parts_(parts), directory_(directory) {}

  // Takes the wish of the settings for this peer. True if it is another one than before: what
  // stands with the peer went another way.
  bool settle(Peer& peer) const;

  // The IDs for a packet to the peer that ends at `target`: our box's, the peer's, the target.
  class Way {
   public:
    Way() = default;
    Way(const Id& stop, const Id& target) : ids_{stop, target}, count_(2) {}
    void add(const Id& id) { ids_[count_++] = id; }
    std::span<const Id> ids() const { return std::span(ids_).first(count_); }

   private:
    std::array<Id, wire::kMaxStack> ids_{};
    std::size_t count_ = 0;
  };
  // `theirs`: what the peer wants before its own ID; it has no say about its public IDs.
  Way way(const Peer& peer, const std::optional<Id>& theirs, const Id& target);

  // Says in `hello`, whose path has our trigger for the peer, that we are reached by our box; true
  // if we are.
  bool tell(const Peer& peer, wire::Hello& hello);

  // Whether something of the peer came by our box, if it had to: the trigger that only the box
  // knows says so. `id`: the one that it was sent to; nothing: by a label, or straight.
  bool came_right(const Peer& peer, const std::optional<Id>& id) const;

  // What this host's public IDs lead to, behind the box that all have to come by.
  void set_end(const Id& end) { end_ = end; }
  struct OutPass {
    Id id;
    std::uint32_t hour = 0;
  };
  // This host's own, to that box; nothing for a key that is none.
  std::optional<OutPass> out_pass(const PublicKey& box);

 private:
  struct Passes {
    wire::PassKey key;
    std::uint32_t hour = 0;
    Id out, in;
  };
  const Passes* passes(const PublicKey& box);

  HostParts& parts_;
  const Directory& directory_;
  std::map<PublicKey, Passes> passes_;  // of boxes that the settings name
  Id end_;
};

// On a box: what becomes of the sealed packets of others. Its host asks.
class SealedStop {
 public:
  virtual ~SealedStop() = default;
  // A packet for an ID under this host's prefix for passes; borrowed. What shall go on is given to
  // Client::pass_on.
  virtual void on_sealed(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) = 0;
  // A cookie that came along a tag: true if it is for somebody whose message was passed on, and
  // went there.
  virtual bool on_cookie(Bytes cookie, TimePoint now) = 0;
  // One that ends there: a client asks whether its public ID may lead here.
  virtual void on_consent_ask(const wire::IdPacket& packet, const Endpoint& node,
                              TimePoint now) = 0;
};

}  // namespace i3
