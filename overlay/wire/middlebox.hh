// Owns what hosts say of a middle-box in the handshake: for whom, by whose leave, and that somebody
// wants to be reached through one (docs/DESIGN.md, decision 26).
#pragma once

#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"

namespace i3::wire {

// An end of a conversation lets a middle-box speak for it towards the other end.
//  expiry 8 | signature 64 over "i3 spokesman v1" || box 32 || other end 32 || expiry 8
struct Spokesman {
  static constexpr std::size_t kSize = 8 + 64;
  std::uint64_t expiry = 0;  // 0: none was given
  Signature signature{};

  static Spokesman read(Reader& reader);
  void write(Writer& writer) const;
  static Spokesman issue(const Identity& end, const PublicKey& box, const PublicKey& other,
                         std::uint64_t expiry);
  bool valid(const PublicKey& end, const PublicKey& box, const PublicKey& other,
             std::uint64_t wall) const;
  bool operator==(const Spokesman&) const = default;
};

// Whoever was contacted wants to be reached by a middle-box alone.
//  box 32 | expiry 8 | signature 64 over "i3 redirect v1" || who asked 32 || box 32 || expiry 8
struct Redirect {
  static constexpr std::size_t kSize = 32 + 8 + 64;
  PublicKey box;
  std::uint64_t expiry = 0;
  Signature signature{};

  static Redirect read(Reader& reader);
  void write(Writer& writer) const;
  static Redirect issue(const Identity& contacted, const PublicKey& who, const PublicKey& box,
                        std::uint64_t expiry);
  bool valid(const PublicKey& contacted, const PublicKey& who, std::uint64_t wall) const;
  bool operator==(const Redirect&) const = default;
};

// The session is one half of a conversation through a middle-box.
//  other 32 | spokesman 72
struct Through {
  enum class Way : std::uint8_t {
    to_box,    // the receiver is the box; `other` is the host to be reached; the sender's leave
    from_box,  // the sender is the box and speaks for `other`; `other`'s leave
  };
  static constexpr std::size_t kSize = 32 + Spokesman::kSize;
  Way way{};
  PublicKey other;
  Spokesman leave;

  bool operator==(const Through&) const = default;
};

// Ends are rounded to whole hours: they must not tell how a host's clock is wrong.
inline constexpr std::uint64_t kHourNs = 3'600'000'000'000;
constexpr std::uint64_t expiry_after(WallTime wall, std::uint64_t hours) {
  return (wall / kHourNs + hours + 1) * kHourNs;
}
inline constexpr std::uint64_t kSpokesmanHours = 2;
inline constexpr std::uint64_t kRedirectHours = 24;

}  // namespace i3::wire
