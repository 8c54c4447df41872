// Owns which virtual address stands for which ID on this host (docs/DESIGN.md, decision 17).
#pragma once

#include <vector>

#include "overlay/base/id.hh"
#include "overlay/base/random.hh"
#include "proxy/packet/flat_table.hh"
#include "proxy/packet/virtual_ip.hh"

namespace i3 {

// All virtual IPv6 addresses of a host share a /48: 0xfd and the first 40 bits of
// BLAKE2b-128("i3 virtual ipv6 prefix"[, number]) (fd00::/8 with a fixed 40-bit global ID, RFC 4193
// 3.1); 80 bits of hash of the ID follow. The number, 8 bits, is hashed only when it is not 0: the
// others are for further daemons of one machine.
IpPrefix virtual_ipv6_prefix(std::uint8_t number = 0);
inline constexpr std::uint8_t kVirtualIpv6Prefixes = 4;

// The addresses that an ID prefers: those its host announces. `attempt` counts the places that
// were taken: 0 is the first choice. IPv4: pool base + the low (32 - length) bits of the
// first 32 bits of BLAKE2b-128("i3 virtual ipv4", id[, attempt]); IPv6: the prefix + the first 80
// bits of BLAKE2b-128("i3 virtual ipv6", id[, attempt]). `attempt`, 32 bits, is hashed only when
// it is not 0.
VirtualIp preferred_ipv4(const IpPrefix& pool, const Id& id, std::uint32_t attempt = 0);
VirtualIp preferred_ipv6(const Id& id, std::uint32_t attempt = 0,
                         const IpPrefix& prefix = virtual_ipv6_prefix());

// How an ID came to this host.
enum class Standing : std::uint8_t {
  own,       // this host, and further identities of its own
  known,     // in an address book or an <allow>, or asked for by its key's name
  stranger,  // came by itself
};

// What a peer says its own addresses are (handshake, name card).
struct AnnouncedAddresses {
  std::optional<IpAddress> ipv4;
  std::optional<IpAddress> ipv6;
};

// The table is bounded by `max_entries` and, for strangers, by `max_strangers`; expiry is the
// caller's, by release(). No clock. Look-ups by address and by ID cost one probe each and never
// allocate.
//
// Who gets what: an ID that is known gets its preferred address, or the announced one (below), if
// that is free, else the next free attempt of its own. 22 bits of hash are ground in a second, so
// a stranger never gets a preferred or announced IPv4 address, only one chosen under a secret of
// this host: it cannot take the place of an ID that is known later. 80 bits are not ground:
// strangers keep their preferred IPv6 address.
//
// An announced address is used only if it has the form of one of the ID's first few choices: in
// the pool it must be one; outside (a peer with another pool) it must be private (RFC 1918, RFC
// 6598), meet no `avoid` and agree with one in its low 16 bits, so that a peer cannot draw the
// traffic of an address of its choice. Such an address needs a route of its own (needs_route).
class AddressPool {
 public:
  using Slot = std::uint32_t;  // small, reused after release: an index for the caller's tables
  static constexpr Slot kNoSlot = 0xffffffff;

  struct Settings {
    IpPrefix ipv4{IpAddress::v4(0x64400000), 10};  // 100.64.0.0/10
    IpPrefix ipv6 = virtual_ipv6_prefix();         // one of those
    std::vector<IpPrefix> avoid;                   // local addresses and routes: never handed out
    std::size_t max_entries = 65536;
    std::size_t max_strangers = 8192;
  };
  struct Entry {
    Id id;
    VirtualIp ipv4;
    VirtualIp ipv6;
    Standing standing = Standing::known;
    bool needs_route = false;  // ipv4 lies outside the pool
    Slot slot = kNoSlot;
  };
  // What the state log keeps of an entry.
  struct Record {
    Id id;
    VirtualIp ipv4;
    VirtualIp ipv6;
    Standing standing = Standing::known;
  };

  // What is wrong with a pool: not IPv4, not /8 to /24, or multicast, loopback or 'this network'.
  // Empty when it will do.
  static std::string check(const IpPrefix& ipv4);

  // `settings.ipv4` passed check(). `random` gives the host's secret, and is not kept.
  AddressPool(Settings settings, Random& random);

  const IpPrefix& ipv4() const { return settings_.ipv4; }
  const IpPrefix& ipv6() const { return settings_.ipv6; }
  // The DNS stub's own addresses, pool base + 53 and prefix::35. Reserved, as are the first and
  // the last address of the IPv4 pool and the first of the IPv6 prefix.
  VirtualIp stub4() const;
  VirtualIp stub6() const;

  // At start, in this order: add_own, restore, reserve. The results point into the pool and are
  // valid until the next call that adds.

  // Nothing when the pool is full or all of it is avoided.
  const Entry* add_own(const Id& id);
  // Takes up what an earlier run exported; what no longer fits (taken, avoided, outside the pool
  // without the form above, over the maximum) is left out. Returns how many were taken.
  std::size_t restore(std::span<const Record> records);
  // Gives every ID of the address books its address, in ID order whatever order they come in, so
  // that the same books give the same addresses. Those that have one keep it. Returns how many
  // found no place.
  std::size_t reserve(std::vector<Id> ids);
  // The address of a peer; the present one if it has one (a stranger that is known by now counts
  // as known). Nothing when the table or the strangers' part of it is full.
  const Entry* assign(const Id& id, Standing standing, const AnnouncedAddresses& announced = {});
  bool release(const Id& id);

  Slot slot_of(const VirtualIp& address) const;
  Slot slot_of(const IpAddress& destination) const;
  // Worth it for every packet of a batch before the first slot_of().
  void prefetch(const IpAddress& destination) const;
  const Entry* find(const Id& id) const;
  const Entry* find(const VirtualIp& address) const;
  // `slot` came from this pool and was not released.
  const Entry& at(Slot slot) const { return entries_[slot]; }
  std::size_t size() const { return by_id_.size(); }
  std::size_t strangers() const { return strangers_; }

  // All entries but own ones.
  std::vector<Record> records() const;

 private:
  struct IdKey {
    Id id;
    std::uint64_t hash(std::uint64_t secret) const;
    bool operator==(const IdKey&) const = default;
  };
  struct V4Key {
    std::uint32_t address = 0;
    std::uint64_t hash(std::uint64_t secret) const { return mix(address, 0, secret); }
    bool operator==(const V4Key&) const = default;
  };
  struct V6Key {  // the 80 bits below the prefix, in 12 bytes to keep a cell in 16
    std::array<std::uint32_t, 3> words{};
    std::uint64_t hash(std::uint64_t secret) const {
      return mix(std::uint64_t{words[0]} << 32 | words[1], words[2], secret);
    }
    bool operator==(const V6Key&) const = default;
  };
  static V6Key key6(const IpAddress& address);

  bool in_ipv6(const IpAddress& address) const;
  bool avoided(const IpAddress& address) const;
  bool reserved4(std::uint32_t address) const;
  bool free4(std::uint32_t address) const;
  bool free6(const IpAddress& address) const;
  bool hash_shaped4(const Id& id, const IpAddress& address) const;
  bool may_hold4(const Id& id, const IpAddress& address, Standing standing) const;
  std::optional<VirtualIp> choose4(const Id& id, Standing standing,
                                   const AnnouncedAddresses& announced) const;
  std::optional<VirtualIp> choose6(const Id& id) const;
  VirtualIp secret_ipv4(const Id& id, std::uint32_t attempt) const;
  bool room_for(Standing standing) const;
  const Entry* add(const Id& id, Standing standing, VirtualIp ipv4, VirtualIp ipv6);

  Settings settings_;
  std::array<std::uint8_t, 32> secret_;
  std::vector<Entry> entries_;
  std::vector<Slot> unused_;
  FlatTable<V4Key> by_ipv4_;
  FlatTable<V6Key> by_ipv6_;
  FlatTable<IdKey> by_id_;
  std::size_t strangers_ = 0;
};

}  // namespace i3
