// Owns the table of an i3-to-IP gateway: for each client and name an inner address of its own, the
// real one behind it, and what may be opened there. Sans-I/O.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"
#include "proxy/packet/address_pool.hh"
#include "proxy/platform/nat.hh"

namespace i3 {

struct InnerName {
  // One family of it.
  struct Side {
    VirtualIp inner;
    std::optional<IpAddress> real;
    NatOpens opens;
    bool installed = false;  // the kernel knows
  };

  PublicKey client;
  std::string name;
  AddressPool::Slot slot = AddressPool::kNoSlot;
  Side v4, v6;
  TimePoint fresh_until{};  // of what DNS said
  TimePoint used{}, logged{};
  std::vector<std::vector<std::uint8_t>> parked;  // until the kernel knows

  // Its places among all names and among its client's, unused for longest first.
  std::list<InnerName*>::iterator in_order, in_siblings;
  std::list<InnerName*>* siblings = nullptr;

  Side& side(bool four) { return four ? v4 : v6; }
  const Side& side(bool four) const { return four ? v4 : v6; }
};

class InnerNames {
 public:
  static constexpr std::size_t kMaxNames = 65536;
  static constexpr std::size_t kMaxOfClient = 8192;
  static constexpr std::size_t kMaxParked = 4;  // of a name

  // `gateway`: this host's key, from which addresses are derived with the client's and the name.
  InnerNames(AddressPool& pool, const PublicKey& gateway) : pool_(pool), gateway_(gateway) {}

  InnerName* find(const PublicKey& client, std::string_view name) const;
  // By inner address, whoever's; null for all others.
  InnerName* at(const IpAddress& inner) const;
  // Made if there is none; null where no address is free. A client with too many loses the one
  // that was unused for longest; `removed` is called for it.
  InnerName* add(const PublicKey& client, std::string_view name, TimePoint now);
  void remove(InnerName& name);
  void touch(InnerName& name, TimePoint now);
  // Called before a name goes.
  std::function<void(InnerName&)> removed;
  // Those for which `over` holds go.
  void remove_if(const std::function<bool(const InnerName&)>& over);

  std::size_t size() const { return by_slot_.size(); }
  std::size_t clients() const { return of_client_.size(); }
  void each(const std::function<void(InnerName&)>& visit) const;

  // A line of the state log: inner CLIENT IPV4 IPV6 REAL4 REAL6 USED NAME, '-' for no real address.
  static std::string line(const InnerName& name, TimePoint now, WallTime wall);
  static std::string gone_line(const InnerName& name);
  // Takes up such lines; others are skipped. Real addresses are not installed, and to be judged.
  void restore(std::string_view state, TimePoint now, WallTime wall);

 private:
  void restore_line(std::string_view line, TimePoint now, WallTime wall);

  AddressPool& pool_;
  PublicKey gateway_;
  std::unordered_map<AddressPool::Slot, std::unique_ptr<InnerName>> by_slot_;
  std::unordered_map<std::string, InnerName*> by_name_;
  std::list<InnerName*> order_;
  std::unordered_map<PublicKey, std::list<InnerName*>> of_client_;
};

}  // namespace i3
