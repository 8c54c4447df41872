// Any datagram as a question to the zone: the answer is bounded, parses, and repeats the question.
#include "gateways/from_ip/zone.hh"

#include "tests/fuzz/must.hh"

using namespace i3;

namespace {

struct Names final : ZoneNames {
  ZoneMeaning look_up(std::string_view name, std::uint16_t, const DnsClient&, TimePoint) override {
    using Kind = ZoneMeaning::Kind;
    if (name.starts_with("x")) return {};
    return {name.size() % 2 == 0 ? Kind::known : Kind::empty, 0xcb007109,
            std::array<std::uint8_t, 16>{}};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Names names;
  Zone zone({"i3.example.org", {{"ns1.i3.example.org", {IpAddress::v4(1)}}, {"ns.x", {}}}, "h.x"},
            names);
  for (const DnsTransport transport : {DnsTransport::udp, DnsTransport::tcp}) {
    std::array<std::uint8_t, kDnsAnswerSize> out;
    const std::size_t written = zone.answer({transport, 0, {}, {}}, {data, size}, TimePoint{}, out);
    if (written == 0) continue;
    const Bytes answer = Bytes(out).first(written);
    const auto asked = parse_question({data, size}), said = parse_question(answer);
    fuzz::must(asked.has_value() == said.has_value(), "a question that was read comes back");
    if (!said) continue;
    fuzz::must(said->is_response() && std::equal(said->wire.begin(), said->wire.end(),
                                                 asked->wire.begin(), asked->wire.end()),
               "the question comes back bit for bit");
    fuzz::must(parse_edns(answer, *said).has_value(), "the answer's records parse");
    const bool edns = parse_edns({data, size}, *asked).value_or(Edns{}).present;
    fuzz::must(transport == DnsTransport::tcp || edns || written <= 512, "it fits the asker");
  }
  return 0;
}
