// Owns overlay IDs (256 bits) and ring positions (their first 128 bits) with Chord's arithmetic.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>

#include "overlay/base/bytes.hh"

namespace i3 {

// A place on the ring: an unsigned 128-bit integer, big-endian in messages, arithmetic mod 2^128.
struct RingId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static RingId read(Reader& reader) {
    RingId id;
    id.high = reader.u64();
    id.low = reader.u64();
    return id;
  }
  void write(Writer& writer) const {
    writer.u64(high);
    writer.u64(low);
  }

  // this + 2^bit, bit in [0, 128).
  RingId plus_power(unsigned bit) const;
  // The distance clockwise from `from` to this.
  RingId minus(RingId from) const;
  // True when this lies in the interval (from, to] going clockwise; the whole ring if from == to.
  bool in_half_open(RingId from, RingId to) const;
  // True when this lies in (from, to), ends excluded; everything but `from` if from == to.
  bool in_open(RingId from, RingId to) const;
  std::string hex() const;

  auto operator<=>(const RingId&) const = default;
};

// 256 bits. Two IDs match only if they share at least kMinimumMatch leading bits (seed 001, 2).
struct Id {
  static constexpr std::size_t kSize = 32;
  static constexpr unsigned kMinimumMatch = 128;

  std::array<std::uint8_t, kSize> bytes{};

  static Id read(Reader& reader) { return Id{reader.array<kSize>()}; }
  void write(Writer& writer) const { writer.bytes(bytes); }

  RingId ring() const {
    Reader reader(bytes);
    return RingId::read(reader);
  }
  // How many leading bits both have in common, 0 to 256.
  unsigned common_prefix(const Id& other) const;
  std::string hex() const;
  static std::optional<Id> from_hex(std::string_view text);

  auto operator<=>(const Id&) const = default;
};

std::string hex(Bytes bytes);

}  // namespace i3

template <>
struct std::hash<i3::RingId> {
  std::size_t operator()(const i3::RingId& id) const noexcept { return id.high ^ id.low; }
};
// IDs are hashes or random, so any eight bytes serve; the tail is mixed in for IDs under one
// prefix.
template <>
struct std::hash<i3::Id> {
  std::size_t operator()(const i3::Id& id) const noexcept {
    std::uint64_t head, tail;
    std::memcpy(&head, id.bytes.data(), 8);
    std::memcpy(&tail, id.bytes.data() + 24, 8);
    return head ^ (tail * 0x9e3779b97f4a7c15ull);
  }
};
