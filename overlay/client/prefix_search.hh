// Owns the search for a salt with which a key's prefix lies in one part of the ring.
#pragma once

#include "overlay/base/id.hh"
#include "overlay/base/keys.hh"

namespace i3 {

// As many hashes are needed as the ring has parts of that size, so they are taken a slice at a
// time: a host has other things to do.
class PrefixSearch {
 public:
  static constexpr unsigned kSlice = 2048;      // hashes a turn
  static constexpr unsigned kMaxSlices = 1024;  // for one part: enough for two million

  // The part is (begin, end]; salts are tried upwards from `salt` on.
  PrefixSearch(RingId begin, RingId end, std::uint32_t salt)
      : begin_(begin), end_(end), salt_(salt) {}

  bool covers(RingId position) const { return position.in_half_open(begin_, end_); }
  std::uint32_t salt() const { return salt_; }
  bool exhausted() const { return slices_ >= kMaxSlices; }

  // One slice; true once `salt` is one that serves.
  bool turn(const PublicKey& owner) {
    ++slices_;
    for (unsigned i = 0; i < kSlice; ++i)
      if (covers(owner_prefix(owner, ++salt_).ring())) return true;
    return false;
  }

 private:
  RingId begin_, end_;
  std::uint32_t salt_;
  unsigned slices_ = 0;
};

}  // namespace i3
