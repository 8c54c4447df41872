#include "proxy/host/leg_names.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {

struct Ends {
  SeededRandom random{7};
  AddressPool pool{AddressPool::Settings{}, random};
  LegNames names{pool};
  PublicKey client = Identity::generate(random)->key(), gateway = Identity::generate(random)->key(),
            other = Identity::generate(random)->key();
  TimePoint now{1h};
  std::uint64_t nonce = 0;

  // Asked by `who` and answered: that inner address.
  void tell(const PublicKey& who, const std::string& name, const char* inner) {
    names.asked(who, gateway, {++nonce, 3, name});
    names.found(who, gateway, {nonce, 0, IpAddress::parse(inner), std::nullopt, 60}, now);
  }
  LegNames::Name* find(const PublicKey& who, const char* inner) const {
    return names.find(who, gateway, *IpAddress::parse(inner));
  }
};

}  // namespace

TEST_CASE("what one client was told means nothing between other ends") {
  Ends ends;
  ends.tell(ends.client, "www.corp.example", "100.70.0.1");
  REQUIRE(ends.find(ends.client, "100.70.0.1") != nullptr);
  CHECK(ends.find(ends.other, "100.70.0.1") == nullptr);
  CHECK(ends.names.find(ends.client, ends.other, *IpAddress::parse("100.70.0.1")) == nullptr);
  // The same inner address for another client is another name, with another address here.
  ends.tell(ends.other, "www.corp.example", "100.70.0.1");
  const auto* first = ends.find(ends.client, "100.70.0.1");
  const auto* second = ends.find(ends.other, "100.70.0.1");
  REQUIRE(second != nullptr);
  CHECK(first->ipv4 != second->ipv4);
  CHECK(ends.names.at(first->ipv4.address()) == first);
  CHECK(ends.names.at(second->ipv4.address()) == second);
}

TEST_CASE("an answer that nobody asked for, or that has no address, names nothing") {
  Ends ends;
  const wire::NameFound found{1, 0, IpAddress::parse("100.70.0.1"), std::nullopt, 60};
  ends.names.found(ends.client, ends.gateway, found, ends.now);
  ends.names.asked(ends.other, ends.gateway, {1, 3, "www.corp.example"});
  ends.names.asked(ends.client, ends.other, {1, 3, "www.corp.example"});
  ends.names.found(ends.client, ends.gateway, found, ends.now);
  ends.names.asked(ends.client, ends.gateway, {2, 3, "www.corp.example"});
  ends.names.found(ends.client, ends.gateway, {2, 3, {}, {}, 60}, ends.now);
  CHECK(ends.names.size() == 0);
}

TEST_CASE(
    "a name whose inner address changed is found by the new one alone, at the same place here") {
  Ends ends;
  ends.tell(ends.client, "www.corp.example", "100.70.0.1");
  const VirtualIp here = ends.find(ends.client, "100.70.0.1")->ipv4;
  ends.tell(ends.client, "www.corp.example", "100.70.0.2");
  CHECK(ends.find(ends.client, "100.70.0.1") == nullptr);
  REQUIRE(ends.find(ends.client, "100.70.0.2") != nullptr);
  CHECK(ends.find(ends.client, "100.70.0.2")->ipv4 == here);
  CHECK(ends.names.size() == 1);
}

TEST_CASE("a conversation with too many names loses its own unused one, and no other's") {
  Ends ends;
  ends.tell(ends.other, "other.example", "100.71.0.1");
  const auto inner = [](std::size_t i) {
    return IpAddress::v4(static_cast<std::uint32_t>(0x64600000 + i)).text();
  };
  for (std::size_t i = 0; i < LegNames::kMaxOfConversation; ++i)
    ends.tell(ends.client, "host" + std::to_string(i), inner(i).c_str());
  ends.names.touch(*ends.find(ends.client, inner(0).c_str()), ends.now);
  ends.tell(ends.client, "one.more", "100.72.0.1");
  CHECK(ends.find(ends.client, inner(0).c_str()) != nullptr);
  CHECK(ends.find(ends.client, inner(1).c_str()) == nullptr);
  CHECK(ends.find(ends.other, "100.71.0.1") != nullptr);
  CHECK(ends.names.size() == LegNames::kMaxOfConversation + 1);
  CHECK(ends.pool.size() == ends.names.size());
}

TEST_CASE("questions without an answer are bounded, and those that are forgotten are counted") {
  Ends ends;
  ends.names.asked(ends.client, ends.gateway, {1, 3, "first.example"});
  for (std::uint64_t nonce = 2; nonce <= LegNames::kMaxAsked; ++nonce)
    ends.names.asked(ends.client, ends.gateway, {nonce, 3, "more.example"});
  CHECK(ends.names.no_room() == 0);
  ends.names.asked(ends.client, ends.gateway, {0, 3, "one.more.example"});
  CHECK(ends.names.no_room() == 1);
  ends.names.found(ends.client, ends.gateway, {1, 0, IpAddress::parse("100.70.0.1"), {}, 60},
                   ends.now);
  CHECK(ends.names.size() == 0);
  // What was answered is not missed, with an address or without.
  ends.names.found(ends.client, ends.gateway, {2, 0, IpAddress::parse("100.70.0.2"), {}, 60},
                   ends.now);
  ends.names.found(ends.client, ends.gateway, {3, 3, {}, {}, 60}, ends.now);
  ends.names.asked(ends.client, ends.gateway, {10001, 3, "after.example"});
  ends.names.asked(ends.client, ends.gateway, {10002, 3, "after.example"});
  CHECK(ends.names.no_room() == 1);
  CHECK(ends.names.size() == 1);
}

TEST_CASE("idle names and those of a conversation that ended are gone, and their addresses free") {
  Ends ends;
  ends.tell(ends.client, "idle", "100.70.0.1");
  ends.now += 3h;
  ends.tell(ends.client, "used", "100.70.0.2");
  ends.names.sweep(ends.now, 2h);
  CHECK(ends.find(ends.client, "100.70.0.1") == nullptr);
  CHECK(ends.find(ends.client, "100.70.0.2") != nullptr);
  ends.names.forget(ends.client, ends.gateway);
  CHECK(ends.names.size() == 0);
  CHECK(ends.pool.size() == 0);
}
