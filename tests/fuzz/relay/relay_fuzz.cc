// ID packets at a box for sealed ones. The first byte says which pass stands before it: 0 what the
// input has, 1 a client's way out, 2 and 3 its way in, the last with an address that the client
// sealed.
#include "gateways/relay/sealed_relay.hh"
#include "overlay/wire/middlebox.hh"
#include "tests/fuzz/must.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  using wire::Pass;
  static const Identity box(SeededRandom(1).array<32>()), client(SeededRandom(2).array<32>());
  static const auto key = *wire::pass_key(client, box.key());
  constexpr WallTime kWall = 5000 * wire::kHourNs;
  if (size == 0) return 0;
  auto packet = wire::IdPacket::parse(Bytes(data, size).subspan(1));
  if (!packet) return 0;
  const auto hour = wire::pass_hour(kWall);
  const unsigned way = data[0] & 3;
  if (way != 0)
    packet->ids[0] =
        Pass::issue(way == 1 ? Pass::Use::out : Pass::Use::in, hour, key).under(box.key());
  Id own = owner_prefix(client.key(), data[0]);
  if (way == 3) packet->ids[1] = wire::Inward::seal(own, data[0], hour, key);
  // What is read as a pass is written as it was.
  if (const auto pass = Pass::parse(packet->ids[0])) {
    const Id again = pass->under(box.key());
    fuzz::must(
        std::equal(again.bytes.begin() + 16, again.bytes.end(), packet->ids[0].bytes.begin() + 16),
        "a pass is written as it was read");
  }
  SealedRelay relay(box);
  relay.set({{client.key(), "client", {}}}, {});
  const auto answer = relay.consent(*packet, TimePoint{}, kWall);
  fuzz::must(!answer || (way == 1 && answer->consent.id == packet->ids[0]),
             "consent is to a client's own pass");
  const auto onward = relay.judge(*packet, TimePoint{}, kWall);
  if (!onward) return 0;
  fuzz::must(way != 0, "nothing passes without a pass");
  fuzz::must(onward->id_count >= 2 && onward->hop_limit > 1, "there is somewhere to go");
  fuzz::must(onward->copies == 1 && onward->kind <= 3, "one copy, of a session's message");
  fuzz::must(onward->payload.size() == packet->payload.size(), "nothing is added");
  if (onward->id_count == packet->id_count)
    fuzz::must(onward->ids[1] == (way == 1 ? packet->ids[1] : own), "it goes where the pass says");
  return 0;
}
