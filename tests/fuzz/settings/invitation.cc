// Fuzzes invitations: as text, and as bytes under a right checksum, which random text never has.
#include "proxy/settings/invitation.hh"

#include <cstdint>
#include <vector>

using namespace i3;

namespace {

// One invitation has one meaning: what was read is written and read the same.
void check(std::string_view text) {
  std::string why;
  const auto invitation = Invitation::decode(text, why);
  if (!invitation) return;
  if (Invitation::decode(invitation->encode(), why) != invitation) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  check(as_text(input));
  std::vector<std::uint8_t> bytes(input.begin(), input.end());
  const auto sum = blake2b<4>("i3 invitation", {input});
  bytes.insert(bytes.end(), sum.begin(), sum.end());
  check(std::string(Invitation::kPrefix) + base32(bytes));
  return 0;
}
