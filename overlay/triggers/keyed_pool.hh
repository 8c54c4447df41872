// Owns values found by a key and by a short number that stays theirs: what rows refer to in four
// bytes instead of by the key itself.
#pragma once

#include "overlay/triggers/chunks.hh"
#include "overlay/triggers/slot_index.hh"

namespace i3 {

// `Key` has `bytes` and ==. Numbers of erased keys are given out again.
template <class Key, class Value>
class KeyedPool {
 public:
  static constexpr std::uint32_t kNone = SlotIndex::kNone;

  // `hash` must outlive this.
  explicit KeyedPool(const SecretHash& hash) : hash_(hash) {}

  std::uint32_t find(const Key& key) const { return find(key, hash_(key.bytes)); }
  // The number of `key`, added with a value of its type's default if it is not there.
  std::uint32_t find_or_add(const Key& key) {
    const std::uint64_t hash = hash_(key.bytes);
    if (const std::uint32_t known = find(key, hash); known != kNone) return known;
    std::uint32_t at;
    if (free_.empty()) {
      at = slots_.grow();
    } else {
      at = free_.back();
      free_.pop_back();
    }
    slots_[at] = {key, Value{}};
    index_.insert(hash, at);
    return at;
  }
  void erase(std::uint32_t at) {
    index_.replace(hash_(slots_[at].key.bytes), at, kNone);
    free_.push_back(at);
  }
  const Key& key(std::uint32_t at) const { return slots_[at].key; }
  Value& operator[](std::uint32_t at) { return slots_[at].value; }
  const Value& operator[](std::uint32_t at) const { return slots_[at].value; }
  std::size_t size() const { return index_.size(); }

 private:
  struct Slot {
    Key key;
    Value value;
  };
  std::uint32_t find(const Key& key, std::uint64_t hash) const {
    return index_.find(hash, [&](std::uint32_t at) { return slots_[at].key == key; });
  }

  const SecretHash& hash_;
  Chunks<Slot> slots_;
  SlotIndex index_;
  std::vector<std::uint32_t> free_;
};

}  // namespace i3
