// Owns the table of peers: by virtual address, by key and by handle, with their timers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <unordered_map>

#include "proxy/host/peer.hh"

namespace i3 {

// Bounded by the address pool, whose slots are the handles. Pointers to peers stay valid until
// remove().
class Peers {
 public:
  explicit Peers(AddressPool& pool) : pool_(pool) {}

  // By the address that local programs send to; one probe in a flat table.
  Peer* find(const IpAddress& virtual_address) const { return at(pool_.slot_of(virtual_address)); }
  Peer* find(const PublicKey& key) const;
  Peer* at(PeerHandle handle) const {
    if (handle < by_handle_.size()) return by_handle_[handle].get();
    if (handle < kFirstLeg || handle - kFirstLeg >= legs_.size()) return nullptr;
    return legs_[handle - kFirstLeg].get();
  }

  // The peer with that key, made if there is none; nothing when the pool gives no address.
  Peer* get(const PublicKey& key, const std::string& name, Standing standing,
            const AnnouncedAddresses& announced = {});
  void remove(Peer& peer);

  // The two ends of a conversation through a middle-box that this host is. Their handles lie behind
  // the pool's slots; their addresses are those of the ends' own entries in the pool.
  static constexpr PeerHandle kFirstLeg = 1u << 24;
  Peer* leg(const PublicKey& end, const PublicKey& other) const;
  // Makes both; there are none yet.
  void add_legs(const Peer& one, const Peer& two);
  void remove_legs(const PublicKey& one, const PublicKey& two);
  std::size_t conversations() const { return by_ends_.size() / 2; }
  std::size_t conversations_of(const PublicKey& end) const;

  std::size_t size() const { return by_key_.size(); }
  void each(const std::function<void(Peer&)>& visit) const;

  // Asks for `visit` of the peer in due() at `when` or earlier; kNever does nothing.
  void schedule(Peer& peer, TimePoint when);
  TimePoint next_deadline() const;
  // Visits every peer whose time has come.
  void due(TimePoint now, const std::function<void(Peer&)>& visit);

 private:
  struct Timer {
    TimePoint when;
    PeerHandle handle;
    bool operator>(const Timer& other) const { return when > other.when; }
  };

  void add_leg(const Peer& end, const Peer& other);

  AddressPool& pool_;
  std::vector<std::unique_ptr<Peer>> by_handle_;
  std::unordered_map<PublicKey, PeerHandle> by_key_;
  std::vector<std::unique_ptr<Peer>> legs_;
  std::vector<PeerHandle> unused_legs_;
  std::map<std::pair<PublicKey, PublicKey>, PeerHandle> by_ends_;  // end, other end
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
};

}  // namespace i3
