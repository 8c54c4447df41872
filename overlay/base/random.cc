#include "overlay/base/random.hh"

#include <sodium.h>
#include <stdexcept>

namespace i3 {

std::uint32_t Random::u32() {
  return static_cast<std::uint32_t>(u64());
}

std::uint64_t Random::u64() {
  auto bytes = array<8>();
  return Reader(bytes).u64();
}

std::uint64_t Random::below(std::uint64_t bound) {
  assert(bound > 0);
  // Rejects the low remainder so that every value is equally likely.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    if (std::uint64_t value = u64(); value >= threshold) return value % bound;
  }
}

SystemRandom::SystemRandom() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot start");
}

void SystemRandom::fill(MutBytes out) {
  randombytes_buf(out.data(), out.size());
}

void SeededRandom::fill(MutBytes out) {
  std::array<std::uint8_t, randombytes_SEEDBYTES> key{};
  Writer writer(key);
  writer.u64(seed_);
  writer.u64(block_++);
  if (!out.empty()) randombytes_buf_deterministic(out.data(), out.size(), key.data());
}

}  // namespace i3
