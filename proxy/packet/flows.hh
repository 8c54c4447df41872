// Owns the bounded memory of which conversations local programs opened.
#pragma once

#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/random.hh"
#include "overlay/base/time.hh"

namespace i3 {

// One conversation with a peer, by the address that local programs use for the peer. Protocols
// without ports leave them zero.
struct FlowKey {
  IpAddress peer;
  std::uint16_t peer_port = 0;
  std::uint16_t own_port = 0;
  std::uint32_t protocol = 0;

  auto operator<=>(const FlowKey&) const = default;
};

// A cache in sets of eight: a conversation not seen for `lifetime` is forgotten, and where a set
// is full the one unseen for longest gives way. Time is kept in whole seconds, rounded so that a
// flow lives no longer than `lifetime`. Starts small and doubles up to `max_entries` (rounded up
// to a power of two, at least eight), so opening may now and then allocate; look-ups never do.
class FlowTable {
 public:
  FlowTable(std::size_t max_entries, Duration lifetime, Random& random);

  // Adds the flow, or sees it again.
  void open(const FlowKey& key, TimePoint now);
  // True, and the flow's lifetime starts again, if it is open.
  bool refresh(const FlowKey& key, TimePoint now);
  bool contains(const FlowKey& key, TimePoint now) const;
  // Open flows, counted by going over all of them: for metrics and tests.
  std::size_t count(TimePoint now) const;
  std::size_t capacity() const { return cells_.size(); }

 private:
  static constexpr std::size_t kWays = 8;
  struct Cell {
    FlowKey key;
    std::uint32_t seen = 0;  // seconds since start_, counted from 1; 0: empty
  };

  std::uint32_t seconds(TimePoint now) const;
  bool alive(const Cell& cell, std::uint32_t now) const;
  std::size_t set_of(const FlowKey& key) const;
  Cell* find(const FlowKey& key, TimePoint now);
  void place(const Cell& cell, std::uint32_t now);
  void grow(std::uint32_t now);

  std::uint64_t secret_;
  std::size_t max_cells_;
  std::uint32_t lifetime_;
  std::vector<Cell> cells_;
};

}  // namespace i3
