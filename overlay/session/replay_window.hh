// Owns the record of which counters arrived: a sliding bitmap after RFC 6479.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "overlay/base/prefetch.hh"

namespace i3 {

// Counters up to kWindow behind the greatest one are told apart; older ones count as seen.
class ReplayWindow {
 public:
  static constexpr std::uint64_t kWindow = 8000;

  // False if the counter was accepted before or is too old to know.
  bool acceptable(std::uint64_t counter) const {
    if (!any_ || counter > greatest_) return true;
    if (greatest_ - counter >= kWindow) return false;
    return (word(counter) >> (counter % kBits) & 1) == 0;
  }
  // Records an authentic message's counter; false (and no change) if it is not acceptable.
  bool accept(std::uint64_t counter) {
    if (!acceptable(counter)) return false;
    if (!any_ || counter > greatest_) advance(counter);
    words_[counter / kBits % kWords] |= std::uint64_t{1} << (counter % kBits);
    return true;
  }
  // The 64-bit counter whose low half is `low` and that lies nearest to the next one expected.
  std::uint64_t widen(std::uint32_t low) const {
    const std::uint64_t expected = any_ ? greatest_ + 1 : 0;
    const auto ahead = static_cast<std::int32_t>(low - static_cast<std::uint32_t>(expected));
    const auto step = static_cast<std::uint64_t>(static_cast<std::int64_t>(ahead));
    // Neither below zero nor past the end.
    if (ahead < 0 && expected < 0 - step) return low;
    if (ahead > 0 && expected > ~std::uint64_t{0} - step) return expected + step - kWrap;
    return expected + step;
  }
  std::uint64_t greatest() const { return greatest_; }
  // Starts fetching the word that the next counter belongs to.
  void prefetch() const { i3::prefetch(&words_[greatest_ / kBits % kWords], sizeof words_[0]); }

 private:
  static constexpr std::uint64_t kBits = 64;
  static constexpr std::uint64_t kWords = 128;
  static constexpr std::uint64_t kWrap = std::uint64_t{1} << 32;
  // One word beyond the window is always being cleared, hence the reserve.
  static_assert(kWords * kBits >= kWindow + kBits && (kWords & (kWords - 1)) == 0);

  std::uint64_t word(std::uint64_t counter) const { return words_[counter / kBits % kWords]; }
  // Clears the words between the old head and the new one.
  void advance(std::uint64_t counter) {
    const std::uint64_t from = any_ ? greatest_ / kBits : 0;
    const std::uint64_t steps = any_ ? counter / kBits - from : 0;
    for (std::uint64_t i = 1; i <= (steps < kWords ? steps : kWords); ++i)
      words_[(from + i) % kWords] = 0;
    greatest_ = counter;
    any_ = true;
  }

  std::uint64_t greatest_ = 0;
  bool any_ = false;
  std::array<std::uint64_t, kWords> words_{};
};

}  // namespace i3
