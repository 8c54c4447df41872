// Insertions with delegations and consents, challenges, acknowledgements.
#include "overlay/wire/insert.hh"
#include "tests/fuzz/wire/round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  fuzz::round_trip<wire::Insert>(input);
  fuzz::round_trip<wire::Challenge>(input);
  fuzz::round_trip<wire::Inserted>(input);
  if (const auto insert = wire::Insert::parse(input))
    insert->valid_signature(input, Endpoint{}, RingId{});
  return 0;
}
