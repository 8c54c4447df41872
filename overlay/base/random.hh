// Owns randomness: injected everywhere so that a simulation can repeat a run from its seed.
#pragma once

#include <array>

#include "overlay/base/bytes.hh"

namespace i3 {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutBytes out) = 0;

  std::uint32_t u32();
  std::uint64_t u64();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> result;
    fill(result);
    return result;
  }
};

// The kernel's generator, through libsodium.
class SystemRandom final : public Random {
 public:
  SystemRandom();
  void fill(MutBytes out) override;
};

// Repeatable stream for tests and simulations: ChaCha20 under a key made from the seed. Never for
// keys of a real host.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : seed_(seed) {}
  void fill(MutBytes out) override;

 private:
  std::uint64_t seed_;
  std::uint64_t block_ = 0;
};

}  // namespace i3
