// Owns the small world around an Interceptor in tests: a name table, and everything it sent.
#pragma once

#include <map>

#include "dnsintercept/interceptor.hh"
#include "questions.hh"

namespace i3::test {

using namespace std::chrono_literals;

struct Names final : NameService {
  std::map<std::string, NameAnswer, std::less<>> table;
  std::map<IpAddress, std::string> reverse_table;
  std::vector<std::string> resolved;

  NameAnswer resolve(std::string_view name, TimePoint) override {
    resolved.emplace_back(name);
    const auto found = table.find(name);
    if (found != table.end()) return found->second;
    if (name.ends_with(".i3")) return {.kind = NameAnswer::Kind::unknown};
    return {};
  }
  std::optional<std::string> reverse(const IpAddress& address) override {
    const auto found = reverse_table.find(address);
    if (found == reverse_table.end()) return std::nullopt;
    return found->second;
  }
  bool owns(const IpAddress& address) override {
    if (address.is_v4()) return address.to_v4() >> 22 == 0x64400000u >> 22;  // 100.64.0.0/10
    return address.bytes[0] == 0xfd && address.bytes[1] == 0x13;             // fd13::/16
  }
};

struct Sent {
  DnsClient client;
  Message message;
};
struct Asked {
  DnsChannel channel;
  Message message;
};

struct World final : DnsOutput {
  Names names;
  SeededRandom random{7};
  std::vector<Sent> answers;
  std::vector<Asked> asked;
  std::vector<DnsChannel> silents;
  std::vector<Endpoint> unreachable;
  Interceptor core{names, random, *this};
  TimePoint now{100s};

  World() {
    names.table["web.i3"] = {.kind = NameAnswer::Kind::known,
                             .ipv4 = 0x64400007u,
                             .ipv6 = std::array<std::uint8_t, 16>{0xfd, 0x13, 7}};
    names.table["four.i3"] = {.kind = NameAnswer::Kind::known, .ipv4 = 0x64400004u};
    names.table["hidden.example"] = {.kind = NameAnswer::Kind::drop};
    names.table["policy.example"] = {.kind = NameAnswer::Kind::known, .ipv4 = 0x64400009u};
    names.table["far.corp.example"] = {.kind = NameAnswer::Kind::pending, .handle = 42};
    names.reverse_table[IpAddress::v4(0x64400007u)] = "web.i3";
    names.reverse_table[IpAddress::v6({0xfd, 0x13, 7})] = "web.i3";
  }

  void answer(const DnsClient& to, Bytes message) override {
    answers.push_back({to, Message(message.begin(), message.end())});
  }
  bool ask(const DnsChannel& channel, Bytes message) override {
    for (const Endpoint& server : unreachable)
      if (server == channel.server) return false;
    asked.push_back({channel, Message(message.begin(), message.end())});
    return true;
  }
  void silent(const DnsChannel& channel) override { silents.push_back(channel); }

  DnsClient client{DnsTransport::udp, 0, *Endpoint::parse("127.0.0.1:40000"), {}};
  DnsClient tcp_client{DnsTransport::tcp, 9, *Endpoint::parse("127.0.0.1:40001"), {}};

  void ask_core(const Message& message) { core.on_question(client, message, now); }
  // The one answer to a question that the core answers itself.
  Tins::DNS answer_to(const Message& message) {
    answers.clear();
    ask_core(message);
    if (answers.size() != 1) throw std::logic_error("not exactly one answer");
    return parsed(answers.front().message);
  }
  void respond(const Asked& to, Message message) { core.on_response(to.channel, message, now); }
};

inline const Endpoint kFirst = *Endpoint::parse("192.0.2.53:53");
inline const Endpoint kSecond = *Endpoint::parse("[2001:db8::53]:53");

}  // namespace i3::test
