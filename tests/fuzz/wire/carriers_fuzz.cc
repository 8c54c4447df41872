// The four messages that carry session messages.
#include "overlay/wire/carriers.hh"
#include "tests/fuzz/wire/round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  fuzz::round_trip<wire::IdPacket>(input);
  fuzz::round_trip<wire::Returned>(input);
  std::vector<std::uint8_t> buffer(size + 64);
  if (const auto labelled = wire::Labelled::parse(input)) {
    Writer writer(buffer);
    wire::Labelled::write_front(writer, labelled->kind, labelled->label);
    writer.bytes(labelled->payload);
    if (!std::equal(input.begin(), input.end(), writer.written().begin(), writer.written().end()))
      std::abort();
  }
  if (const auto direct = wire::Direct::parse(input)) {
    Writer writer(buffer);
    wire::Direct::write_front(writer, direct->kind);
    writer.bytes(direct->payload);
    if (!std::equal(input.begin(), input.end(), writer.written().begin(), writer.written().end()))
      std::abort();
  }
  return 0;
}
