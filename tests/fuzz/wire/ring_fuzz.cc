// The envelope between nodes and every body, read from the same bytes.
#include "overlay/wire/ring_messages.hh"
#include "tests/fuzz/wire/round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  Bytes body = input;
  if (const auto message = wire::RingMessage::parse(input)) {
    message->valid_mac(input, wire::PairKey{});
    body = message->body;
  }
  fuzz::round_trip<wire::NonceBody>(body);
  fuzz::round_trip<wire::PongBody>(body);
  fuzz::round_trip<wire::StateRequestBody>(body);
  fuzz::round_trip<wire::StateBody>(body);
  fuzz::round_trip<wire::FindBody>(body);
  fuzz::round_trip<wire::FoundBody>(body);
  fuzz::round_trip<wire::RelayBody>(body);
  fuzz::round_trip<wire::ForwardBody>(body);
  fuzz::round_trip<wire::ReplyBody>(body);
  fuzz::round_trip<wire::LeaveBody>(body);
  for (std::uint8_t kind = 1; kind <= wire::kLastRingKind; ++kind)
    if (wire::unpadded(static_cast<wire::RingKind>(kind), body).size() > body.size()) std::abort();
  return 0;
}
