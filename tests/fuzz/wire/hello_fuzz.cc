// What hosts tell each other inside their session.
#include "overlay/wire/hello.hh"
#include "tests/fuzz/wire/round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  fuzz::round_trip<wire::Hello>(input);
  fuzz::round_trip<wire::NonceControl>(input);
  fuzz::round_trip<wire::PathResponse>(input);
  fuzz::round_trip<wire::Paths>(input);
  return 0;
}
