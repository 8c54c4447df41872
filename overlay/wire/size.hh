// Owns the controls by which two hosts find out how large packets their way takes.
#pragma once

#include "overlay/wire/hello.hh"

namespace i3::wire {

inline constexpr Control kSizeProbe{32}, kSizeSeen{33}, kPiece{34};

// As long as the IP packet that it stands for.
//  type 1 | nonce 8 | zeros
struct SizeProbe {
  static constexpr std::size_t kLeast = 9;
  std::uint64_t nonce = 0;
  std::size_t size = kLeast;  // of the whole
  static std::optional<SizeProbe> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

// That probe arrived.
//  type 1 | nonce 8
struct SizeSeen {
  std::uint64_t nonce = 0;
  static std::optional<SizeSeen> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

// Half of an IPv6 packet that is too large for the way, though IPv6 lets nobody send less.
//  type 1 | number 4 | part 1 (0 first, 1 second) | bytes
struct Piece {
  static constexpr std::size_t kHeader = 6;
  static constexpr std::size_t kMost = 1280;
  std::uint32_t number = 0;
  std::uint8_t part = 0;
  Bytes bytes;  // borrowed; never empty
  static std::optional<Piece> parse(Bytes plaintext);
  void write(Writer& writer) const;
};

}  // namespace i3::wire
