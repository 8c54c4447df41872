// Fuzzes member tokens: as text, and as bytes under a right checksum, which random text never has.
#include "proxy/settings/member_token.hh"

#include <cstdint>
#include <vector>

using namespace i3;

namespace {

// One token has one meaning: what was read is written and read the same.
void check(std::string_view text) {
  std::string why;
  const auto token = MemberToken::decode(text, why);
  if (!token) return;
  if (MemberToken::decode(token->encode(), why) != token) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  check(as_text(input));
  std::vector<std::uint8_t> bytes(input.begin(), input.end());
  const auto sum = blake2b<4>("i3 member token", {input});
  bytes.insert(bytes.end(), sum.begin(), sum.end());
  check(std::string(MemberToken::kPrefix) + base32(bytes));
  std::string why;
  if (const auto suffix = parse_suffix(as_text(input), why))
    if (parse_suffix(suffix_text(suffix->suffix, suffix->bits), why) != suffix) __builtin_trap();
  return 0;
}
