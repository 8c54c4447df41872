// Owns the cache of conversations.
#include "proxy/packet/flows.hh"

#include "proxy/packet/flat_table.hh"

namespace i3 {
namespace {
constexpr std::size_t kFirstCells = 64;
}

FlowTable::FlowTable(std::size_t max_entries, Duration lifetime, Random& random)
    : secret_(random.u64()),
      max_cells_(std::bit_ceil(std::max(max_entries, kWays))),
      lifetime_(static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::seconds>(lifetime).count())),
      cells_(std::min(max_cells_, kFirstCells)) {}

std::uint32_t FlowTable::seconds(TimePoint now) const {
  const auto count =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return static_cast<std::uint32_t>(count) + 1;
}

bool FlowTable::alive(const Cell& cell, std::uint32_t now) const {
  if (cell.seen == 0) return false;
  return now <= cell.seen || now - cell.seen < lifetime_;
}

std::size_t FlowTable::set_of(const FlowKey& key) const {
  Reader reader(key.peer.bytes);
  const std::uint64_t peer = mix(reader.u64(), reader.u64(), secret_);
  const std::uint64_t ports =
      std::uint64_t{key.protocol} << 32 | std::uint64_t{key.peer_port} << 16 | key.own_port;
  return mix(peer, ports, secret_) & (cells_.size() / kWays - 1);
}

FlowTable::Cell* FlowTable::find(const FlowKey& key, TimePoint now) {
  Cell* set = &cells_[set_of(key) * kWays];
  const std::uint32_t second = seconds(now);
  for (std::size_t way = 0; way < kWays; ++way)
    if (set[way].key == key && alive(set[way], second)) return &set[way];
  return nullptr;
}

bool FlowTable::refresh(const FlowKey& key, TimePoint now) {
  Cell* cell = find(key, now);
  if (cell) cell->seen = std::max(cell->seen, seconds(now));
  return cell != nullptr;
}

bool FlowTable::contains(const FlowKey& key, TimePoint now) const {
  return const_cast<FlowTable*>(this)->find(key, now) != nullptr;
}

void FlowTable::open(const FlowKey& key, TimePoint now) {
  if (refresh(key, now)) return;
  const std::uint32_t second = seconds(now);
  const Cell fresh{key, second};
  while (cells_.size() < max_cells_) {
    const Cell* set = &cells_[set_of(key) * kWays];
    if (!std::all_of(set, set + kWays, [&](const Cell& c) { return alive(c, second); })) break;
    grow(second);
  }
  place(fresh, second);
}

// Into a dead cell of its set, or over the one unseen for longest.
void FlowTable::place(const Cell& cell, std::uint32_t now) {
  Cell* set = &cells_[set_of(cell.key) * kWays];
  Cell* choice = set;
  for (std::size_t way = 0; way < kWays; ++way) {
    if (!alive(set[way], now)) {
      choice = &set[way];
      break;
    }
    if (set[way].seen < choice->seen) choice = &set[way];
  }
  *choice = cell;
}

void FlowTable::grow(std::uint32_t now) {
  std::vector<Cell> old(cells_.size() * 2);
  old.swap(cells_);
  for (const Cell& cell : old)
    if (alive(cell, now)) place(cell, now);
}

std::size_t FlowTable::count(TimePoint now) const {
  const std::uint32_t second = seconds(now);
  return static_cast<std::size_t>(std::count_if(
      cells_.begin(), cells_.end(), [&](const Cell& cell) { return alive(cell, second); }));
}

}  // namespace i3
