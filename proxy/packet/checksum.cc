// Owns the arithmetic of the Internet checksum.
#include "proxy/packet/checksum.hh"

#include <bit>

namespace i3 {

namespace {

// 64 bytes at once, in as many registers as the processor needs for them.
using Block = std::uint64_t __attribute__((vector_size(64)));

#if defined(__x86_64__) && defined(__gnu_linux__)
// Compiled for each of these processors; the loader chooses.
#define I3_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define I3_EACH_PROCESSOR
#endif

// The 32-bit words of whole blocks, added up. No packet is long enough to overflow.
I3_EACH_PROCESSOR std::uint64_t sum_of_blocks(const std::uint8_t* at, std::size_t blocks) {
  Block low{}, high{};
  for (std::size_t i = 0; i < blocks; ++i) {
    Block block;
    std::memcpy(&block, at + i * sizeof block, sizeof block);
    low += block & 0xffffffff;
    high += block >> 32;
  }
  low += high;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 8; ++i) sum += low[i];
  return sum;
}

}  // namespace

// In the machine's own byte order, for the sum does not mind (RFC 1071, 2 B); turned round once at
// the end.
ChecksumSum sum_of(Bytes bytes, ChecksumSum sum) {
  constexpr std::size_t kBlock = sizeof(Block);
  const std::size_t blocks = bytes.size() / kBlock;
  std::uint64_t total = blocks == 0 ? 0 : sum_of_blocks(bytes.data(), blocks);
  const std::uint8_t* at = bytes.data() + blocks * kBlock;
  std::size_t left = bytes.size() - blocks * kBlock;
  const auto add = [&total](const std::uint8_t* from) {
    std::uint64_t word;
    std::memcpy(&word, from, sizeof word);
    total += (word & 0xffffffff) + (word >> 32);
  };
  for (; left >= 8; at += 8, left -= 8) add(at);
  std::array<std::uint8_t, 8> rest{};
  std::copy_n(at, left, rest.begin());
  add(rest.data());
  const std::uint16_t folded = fold(total);
  if constexpr (std::endian::native == std::endian::big) return sum + folded;
  return sum + static_cast<std::uint16_t>(folded << 8 | folded >> 8);
}

ChecksumSum pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                              std::uint8_t protocol, std::size_t length) {
  const std::size_t skip = source.is_v4() ? 12 : 0;  // the mapped form's prefix is not sent
  ChecksumSum sum = sum_of(Bytes(source.bytes).subspan(skip));
  sum = sum_of(Bytes(destination.bytes).subspan(skip), sum);
  return sum + protocol + length;
}

void ChecksumDelta::replace(Bytes from, Bytes to) {
  for (std::size_t at = 0; at + 2 <= from.size(); at += 2)
    replace16(load16(from, at), load16(to, at));
}

}  // namespace i3
