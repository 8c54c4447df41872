// Messages between a host and a node.
#include "overlay/wire/host_messages.hh"
#include "overlay/wire/reach.hh"
#include "overlay/wire/records.hh"
#include "tests/fuzz/wire/round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  const Bytes input(data, size);
  fuzz::round_trip<wire::Probe>(input);
  fuzz::round_trip<wire::Lookup>(input);
  fuzz::round_trip<wire::LookupReply>(input);
  fuzz::round_trip<wire::Refresh>(input);
  fuzz::round_trip<wire::Refreshed>(input);
  fuzz::round_trip<wire::Refused>(input);
  fuzz::round_trip<wire::Forwarded>(input);
  fuzz::round_trip<wire::NotPresent>(input);
  fuzz::round_trip<wire::Way>(input);
  fuzz::round_trip<wire::NoLabel>(input);
  fuzz::round_trip<wire::Reach>(input);
  fuzz::round_trip<wire::ReachSeen>(input);
  fuzz::round_trip<wire::Reached>(input);
  fuzz::round_trip<wire::ReachForBody>(input);
  fuzz::round_trip<wire::Step>(input);
  fuzz::round_trip<wire::StepReply>(input);
  fuzz::round_trip<wire::RecordPut>(input);
  fuzz::round_trip<wire::RecordKept>(input);
  fuzz::round_trip<wire::RecordAsk>(input);
  fuzz::round_trip<wire::Records>(input);
  // Its writer signs, so only parsing and checking are tried.
  if (const auto reply = wire::ProbeReply::parse(input))
    wire::ProbeReply::valid_signature(input, reply->contact.key);
  return 0;
}
