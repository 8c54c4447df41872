// Fuzzes records of keys: as text, and as bytes under a right checksum, which random text never
// has.
#include "overlay/base/key_record.hh"

#include <vector>

using namespace i3;

namespace {

// One record has one meaning: what was read is written and read the same.
void check(std::string_view text) {
  std::string why;
  const auto record = KeyRecord::decode(text, why);
  if (!record) return;
  const auto again = KeyRecord::decode(record->encode(), why);
  if (!again || !again->says_as(*record) || again->signature != record->signature) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  check(as_text(input));
  std::vector<std::uint8_t> bytes(input.begin(), input.end());
  const auto sum = blake2b<4>("i3 record", {input});
  bytes.insert(bytes.end(), sum.begin(), sum.end());
  check(std::string(KeyRecord::kPrefix) + base32(bytes));
  return 0;
}
