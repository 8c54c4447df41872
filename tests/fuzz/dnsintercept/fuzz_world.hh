// Owns the interceptor's surroundings in fuzz targets, and what must hold of all it sends.
#pragma once

#include "dnsintercept/interceptor.hh"
#include "tests/fuzz/must.hh"

namespace i3::fuzz {

class World final : public NameService, public DnsOutput {
 public:
  World() { core.set_upstreams({server}); }

  NameAnswer resolve(std::string_view name, TimePoint) override {
    must(name.size() <= kMaxDnsNameText, "names are bounded");
    if (name == "web.i3")
      return {.kind = NameAnswer::Kind::known, .ipv4 = 0x64400007u, .ipv6 = {{0xfd, 0x13}}};
    if (name == "far.i3") return {.kind = NameAnswer::Kind::pending, .handle = 1};
    return {};
  }
  std::optional<std::string> reverse(const IpAddress&) override { return "web.i3"; }
  bool owns(const IpAddress& address) override {
    return address.is_v4() ? address.to_v4() >> 22 == 0x191 : address.bytes[0] == 0xfd;
  }

  void answer(const DnsClient&, Bytes message) override {
    must(message.size() >= kDnsHeaderSize, "an answer has a header");
    must(message[2] & 0x80, "an answer is a response");
    ++answers;
    last_answer_id = Reader(message).u16();
  }
  bool ask(const DnsChannel& channel, Bytes message) override {
    const auto question = parse_question(message);
    must(question && !question->is_response(), "only questions go upstream");
    std::array<char, kMaxDnsNameText> buffer;
    const std::string_view name = dns_name_text(question->name(), buffer);
    must(name != "i3" && !name.ends_with(".i3"), "no name of ours goes upstream");
    asked.assign(message.begin(), message.end());
    last_channel = channel;
    return true;
  }
  void silent(const DnsChannel&) override {}

  // Lets all that waits come to its end.
  void drain() {
    for (int i = 0; core.next_deadline() != kNever; ++i) {
      must(i < 100, "questions end");
      core.poll(core.next_deadline());
    }
    must(core.outstanding() == 0, "nothing waits for ever");
  }

  SeededRandom random{1};
  Interceptor core{*this, random, *this};
  Endpoint server{IpAddress::v4(0xc0000235), 53};
  DnsClient client{DnsTransport::udp, 0, {IpAddress::v4(0x7f000001), 4000}, {}};
  TimePoint now{std::chrono::seconds(1)};
  std::size_t answers = 0;
  std::uint16_t last_answer_id = 0;
  std::vector<std::uint8_t> asked;
  DnsChannel last_channel;
};

}  // namespace i3::fuzz
