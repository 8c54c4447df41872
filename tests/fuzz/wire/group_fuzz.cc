// The messages of groups.
#include "overlay/wire/group.hh"
#include "tests/fuzz/wire/round_trip.hh"

namespace {

// As its sender writes it: the front, then what it sealed.
struct WholeData : i3::wire::GroupData {
  static std::optional<WholeData> parse(i3::Bytes payload) {
    const auto data = i3::wire::GroupData::parse(payload);
    return data ? std::optional(WholeData{*data}) : std::nullopt;
  }
  void write(i3::Writer& writer) const {
    write_front(writer);
    writer.bytes(sealed);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  fuzz::round_trip<wire::GroupAsk>(input);
  fuzz::round_trip<wire::GroupAnswer>(input);
  fuzz::round_trip<WholeData>(input);
  return 0;
}
