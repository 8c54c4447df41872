// Owns passages: ways that a node keeps for hosts that send through it, each to one label at
// another node. What a host sends under its passage's label goes on under the other one, from this
// node.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/random.hh"
#include "overlay/base/time.hh"
#include "overlay/wire/carriers.hh"

namespace i3 {

// Soft state, opened only towards a member of the ring that named the label itself. Bounded; the
// oldest goes, and an address prefix has at most kMostOfPrefix.
class Passages {
 public:
  static constexpr Duration kLifetime = std::chrono::seconds(30);
  static constexpr std::size_t kMostOfPrefix = 256;
  // In a label's slot: names a passage. Triggers' slots are smaller.
  static constexpr std::uint32_t kMark = 0x80000000;

  struct Onward {
    Endpoint node;
    wire::Label label;
  };
  struct Closed {
    Endpoint host;
    wire::Label label;
  };

  // `random` outlives this.
  Passages(Random& random, std::size_t most) : random_(random), most_(most) {}

  static bool names(wire::Label label) { return (label.slot & kMark) != 0; }
  // The host's label for that way: the one it has already, good for another kLifetime, or a new
  // one. Nothing when its prefix has too many.
  std::optional<wire::Label> open(const Endpoint& host, const Onward& to, TimePoint now);
  // Null unless the passage is that host's and has not run out.
  const Onward* find(wire::Label label, const Endpoint& host, TimePoint now) const;
  // The node has no such label any more; who is to be told.
  std::vector<Closed> close(const Endpoint& node, wire::Label label);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Way {
    Endpoint node;
    std::uint64_t label;
    Endpoint host;
    auto operator<=>(const Way&) const = default;
  };
  struct Entry {
    Way way;
    Onward onward;
    std::uint32_t secret;
    TimePoint until;
  };
  struct Age {
    std::uint32_t slot;
    TimePoint until;
  };

  static std::uint64_t number(wire::Label label) {
    return std::uint64_t{label.slot} << 32 | label.secret;
  }
  void expire(TimePoint now);
  void erase(std::uint32_t slot);

  Random& random_;
  std::size_t most_;
  std::uint32_t next_slot_ = 0;
  std::unordered_map<std::uint32_t, Entry> entries_;
  std::map<Way, std::uint32_t> by_way_;
  std::unordered_map<IpAddress, std::size_t> of_prefix_;
  std::deque<Age>
      ages_;  // one for each entry, oldest first; one that was renewed moves on when due
};

}  // namespace i3
