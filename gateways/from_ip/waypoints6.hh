// Owns the IPv6 waypoints: each key has one address under the operator's prefix, the same for ever.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "overlay/base/ip_prefix.hh"
#include "overlay/base/keys.hh"

namespace i3 {

// The prefix and as many bits of a hash of the key as remain. Two machines with the same prefix
// give a key the same address, and so does the next run.
IpAddress waypoint_of(const PublicKey& key, const IpPrefix& prefix);

// Which key an address stands for. Those of the address books are known for good. Others, whose
// names are keys, are known from when they were asked for, the last kMaxStrangers of them; none
// takes an address that a book's key has.
class Waypoints6 {
 public:
  static constexpr std::size_t kMaxStrangers = 4096;

  explicit Waypoints6(const IpPrefix& prefix) : prefix_(prefix) {}

  bool has(const IpAddress& address) const { return prefix_.contains(address); }
  const IpPrefix& prefix() const { return prefix_; }
  void set_book(const std::vector<PublicKey>& keys);
  // The key's address, which is known from now on; nothing if another key has it.
  std::optional<IpAddress> add(const PublicKey& key);
  const PublicKey* find(const IpAddress& address) const;

  struct Change {
    IpAddress address;
    std::optional<PublicKey> key;  // nothing: it stands for nobody any more
  };
  std::vector<Change> take_changes();

 private:
  struct Entry {
    PublicKey key;
    std::optional<std::list<IpAddress>::iterator> stranger;
  };
  void erase(const IpAddress& address);

  IpPrefix prefix_;
  std::unordered_map<IpAddress, Entry> entries_;
  std::list<IpAddress> strangers_;  // least recently asked for first
  std::vector<Change> changes_;
};

}  // namespace i3
