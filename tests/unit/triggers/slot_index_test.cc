#include "overlay/triggers/slot_index.hh"

#include <doctest/doctest.h>
#include <map>

using namespace i3;

TEST_CASE("the index holds what a map would hold after any insertions and removals") {
  SeededRandom random(11);
  SlotIndex index;
  std::map<std::uint32_t, std::uint64_t> model;  // slot to hash; few hashes, so that runs collide
  auto find = [&](std::uint32_t slot) {
    return index.find(model.at(slot), [&](std::uint32_t other) { return other == slot; });
  };
  for (std::uint32_t round = 0; round < 20000; ++round) {
    if (model.empty() || random.below(5) < 3) {
      const std::uint64_t hash = random.below(64) * 3;
      index.insert(hash, round);
      model[round] = hash;
    } else {
      auto victim = std::next(
          model.begin(),
          static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(model.size(), 50))));
      index.replace(victim->second, victim->first, SlotIndex::kNone);
      CHECK(index.find(victim->second, [&](std::uint32_t s) { return s == victim->first; }) ==
            SlotIndex::kNone);
      model.erase(victim);
    }
  }
  CHECK(index.size() == model.size());
  std::size_t missing = 0;
  for (const auto& [slot, hash] : model)
    if (find(slot) != slot) ++missing;
  CHECK(missing == 0);
}
