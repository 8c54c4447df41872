// Owns the table of peers: by virtual address, by key and by handle, with their timers.
#pragma once

#include <functional>
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
    return handle < by_handle_.size() ? by_handle_[handle].get() : nullptr;
  }

  // The peer with that key, made if there is none; nothing when the pool gives no address.
  Peer* get(const PublicKey& key, const std::string& name, Standing standing,
            const AnnouncedAddresses& announced = {});
  void remove(Peer& peer);

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

  AddressPool& pool_;
  std::vector<std::unique_ptr<Peer>> by_handle_;
  std::unordered_map<PublicKey, PeerHandle> by_key_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
};

}  // namespace i3
