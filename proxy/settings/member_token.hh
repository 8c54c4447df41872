// Owns a group's word that a host may be its member, as one line that people send and paste:
// i3-member:... (docs/PROTOCOL.md, 'Member token').
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "overlay/wire/insert.hh"

namespace i3 {

struct MemberToken {
  static constexpr std::string_view kPrefix = "i3-member:";

  PublicKey group;
  wire::Delegation delegation;

  std::string encode() const;
  // Blanks, line breaks and upper case do not matter. Nothing, and why, for other text and where
  // the group's key did not sign it; whether it ran out is the user's of it to say.
  static std::optional<MemberToken> decode(std::string_view text, std::string& why);
  bool operator==(const MemberToken&) const = default;
};

// A suffix of a group's IDs as people write it: hexadecimal digits, the first ones count most.
struct SuffixText {
  wire::Suffix suffix{};
  std::uint8_t bits = 0;
  bool operator==(const SuffixText&) const = default;
};
std::optional<SuffixText> parse_suffix(std::string_view text, std::string& why);
std::string suffix_text(const wire::Suffix& suffix, std::uint8_t bits);

}  // namespace i3
