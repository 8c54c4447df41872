// Owns the way back for ID packets: which source stands behind each tag that this node gave out.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>

#include "overlay/base/random.hh"
#include "overlay/base/time.hh"
#include "overlay/wire/ring_messages.hh"

namespace i3 {

// Where an ID packet came from: a host, or an entry node and its own tag of the host.
struct PacketSource {
  Endpoint host;  // not valid(): behind `entry`
  wire::NodeContact entry;
  wire::SourceTag origin{};
  bool direct() const { return host.valid(); }
};

// A row that led a packet from the ID that it came for to others.
struct ChainStep {
  std::uint32_t slot = 0, generation = 0;  // of the table
  Id reached;
};

class ReturnTable {
 public:
  // What stands behind a tag: a source, and the row if its packets went on by one.
  struct Way {
    PacketSource source;
    std::optional<ChainStep> step;
  };
  static constexpr Duration kLifetime = std::chrono::seconds(30);

  // `random` is used only here.
  ReturnTable(Random& random, std::size_t most) : secret_(random.array<32>()), most_(most) {}

  // The tag of a source: the same as long as this node runs.
  wire::SourceTag tag(const PacketSource& source) const;
  // Remembers the source for kLifetime, and that it sent `size` bytes: so many may go back to it.
  wire::SourceTag note(const PacketSource& source, std::size_t size, TimePoint now);
  // The same for packets that go on by a row, under a tag of this source and row.
  wire::SourceTag note(const PacketSource& source, const ChainStep& step, std::size_t size,
                       TimePoint now);
  // Null if the tag is unknown or old.
  const Way* find(const wire::SourceTag& tag, TimePoint now);
  // Takes `size` bytes from what the source has sent; false, and nothing taken, if that was less.
  bool spend(const wire::SourceTag& tag, std::size_t size, TimePoint now);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Way way;
    std::size_t credit = 0;
    TimePoint until;
  };
  struct Age {
    std::uint64_t key;
    TimePoint until;
  };
  static constexpr std::size_t kMaxCredit = 64 * 1024;

  static std::uint64_t key_of(const wire::SourceTag& tag) { return Reader(tag).u64(); }
  void note(const wire::SourceTag& tag, const Way& way, std::size_t size, TimePoint now);
  void expire(TimePoint now);

  std::array<std::uint8_t, 32> secret_;
  std::size_t most_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::deque<Age> ages_;  // one for each entry, oldest first; an entry renewed moves on when due
};

}  // namespace i3
