// The messages about names inside a session, and a gateway's requests to its parent.
#include <doctest/doctest.h>

#include "overlay/wire/names.hh"
#include "proxy/platform/broker_messages.hh"

using namespace i3;

namespace {

template <class Message>
std::vector<std::uint8_t> written(const Message& message) {
  std::vector<std::uint8_t> buffer(512);
  Writer writer(buffer);
  message.write(writer);
  REQUIRE(writer.ok());
  buffer.resize(writer.size());
  return buffer;
}

// Cut anywhere, or with a byte more.
template <class Message>
void check_exact(std::vector<std::uint8_t> bytes) {
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(Message::parse(Bytes(bytes).first(size)));
  bytes.push_back(0);
  CHECK_FALSE(Message::parse(bytes));
}

}  // namespace

TEST_CASE("a question for a name arrives as it was asked; no blank, no upper case, no empty name") {
  const auto bytes = written(wire::NameQuestion{7, 3, "www.corp.example"});
  const auto read = wire::NameQuestion::parse(bytes);
  REQUIRE(read);
  CHECK(read->nonce == 7);
  CHECK(read->name == "www.corp.example");
  CHECK_FALSE(wire::NameQuestion::parse(Bytes(bytes).first(10)));
  for (const char bad : {' ', '\n', 'A', '\x7f', '\0'}) {
    auto wrong = bytes;
    wrong.back() = static_cast<std::uint8_t>(bad);
    CHECK_FALSE(wire::NameQuestion::parse(wrong));
  }
  auto families = bytes;
  families[9] = 4;
  CHECK_FALSE(wire::NameQuestion::parse(families));
  std::vector<std::uint8_t> longest(10 + 253, 'a'), longer(10 + 254, 'a');
  std::copy_n(bytes.begin(), 10, longest.begin());
  std::copy_n(bytes.begin(), 10, longer.begin());
  CHECK(wire::NameQuestion::parse(longest));
  CHECK_FALSE(wire::NameQuestion::parse(longer));
}

TEST_CASE("not every name of the DNS can be asked of a gateway") {
  for (const char* name : {"www.corp.example", "x", "_sip._tcp.a", "a.\\.b"}) {
    CAPTURE(name);
    CHECK(wire::NameQuestion::fits(name));
  }
  for (const char* name : {"", "x\\.", "x.", "a b", "A.example", "caf\xc3\xa9.example"}) {
    CAPTURE(name);
    CHECK_FALSE(wire::NameQuestion::fits(name));
  }
  CHECK_FALSE(wire::NameQuestion::fits(std::string(254, 'a')));
}

TEST_CASE("an answer about a name has exactly the addresses that it says, and none with an error") {
  wire::NameFound found{7, 0, IpAddress::parse("100.64.0.9"), IpAddress::parse("fd00::9"), 60};
  const auto bytes = written(found);
  const auto read = wire::NameFound::parse(bytes);
  REQUIRE(read);
  CHECK(read->ipv4 == found.ipv4);
  CHECK(read->ipv6 == found.ipv6);
  CHECK(read->lifetime_s == 60);
  check_exact<wire::NameFound>(bytes);
  auto error = bytes;
  error[9] = 3;
  CHECK_FALSE(wire::NameFound::parse(error));
  CHECK(wire::NameFound::parse(written(wire::NameFound{7, 3, {}, {}, 0}))->rcode == 3);
  check_exact<wire::UnknownAddress>(written(wire::UnknownAddress{*IpAddress::parse("100.64.0.9")}));
}

TEST_CASE("what a gateway asks of its parent arrives as it was asked, and nothing else is read") {
  BrokerRequest opens;
  opens.kind = RequestKind::nat_opens;
  opens.opens = {3, true, {{22, 22}, {80, 90}}, {{0, 65535}}};
  BrokerRequest names;
  names.kind = RequestKind::nat_names;
  names.nat_names = {{*IpAddress::parse("100.64.0.9"), IpAddress::parse("10.1.0.10"), 3},
                     {*IpAddress::parse("fd00::9"), std::nullopt, 0}};
  CHECK(BrokerRequest::parse(opens.write())->opens == opens.opens);
  CHECK(BrokerRequest::parse(names.write())->nat_names == names.nat_names);
  for (const BrokerRequest& request : {opens, names}) check_exact<BrokerRequest>(request.write());

  BrokerRequest backwards = opens, touching = opens, mixed = names;
  backwards.opens.tcp = {{90, 80}};
  touching.opens.tcp = {{22, 80}, {81, 90}};
  mixed.nat_names[0].real = IpAddress::parse("fd00::1");
  for (const BrokerRequest& request : {backwards, touching, mixed})
    CHECK_FALSE(BrokerRequest::parse(request.write()));
}
