// What hosts tell each other inside their session.
#include "overlay/wire/hello.hh"
#include "overlay/wire/names.hh"
#include "overlay/wire/size.hh"
#include "overlay/wire/waypoint_notes.hh"
#include "tests/fuzz/wire/round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  fuzz::round_trip<wire::Hello>(input);
  fuzz::round_trip<wire::NonceControl>(input);
  fuzz::round_trip<wire::PathResponse>(input);
  fuzz::round_trip<wire::Paths>(input);
  fuzz::round_trip<wire::NameQuestion>(input);
  fuzz::round_trip<wire::NameFound>(input);
  fuzz::round_trip<wire::UnknownAddress>(input);
  fuzz::round_trip<wire::SizeProbe>(input);
  fuzz::round_trip<wire::SizeSeen>(input);
  fuzz::round_trip<wire::Piece>(input);
  fuzz::round_trip<wire::ClientNote>(input);
  fuzz::round_trip<wire::WaypointNote>(input);
  return 0;
}
