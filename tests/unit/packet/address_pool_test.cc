// Owns the tests of virtual address assignment.
#include "proxy/packet/address_pool.hh"

#include <doctest/doctest.h>
#include <set>

#include "overlay/base/keys.hh"
#include "packets.hh"

using namespace i3;
using namespace i3::testing;

namespace {

const IpPrefix kDefault{ip("100.64.0.0"), 10};
const IpPrefix kTiny{ip("10.99.7.0"), 24};

Id id_of(std::uint32_t number) {
  std::array<std::uint8_t, 4> bytes;
  Writer(bytes).u32(number);
  return Id{blake2b<32>("test id", {bytes})};
}

std::vector<Id> ids(std::uint32_t count, std::uint32_t first = 0) {
  std::vector<Id> result;
  for (std::uint32_t i = 0; i < count; ++i) result.push_back(id_of(first + i));
  return result;
}

AddressPool make(const IpPrefix& pool = kDefault, std::vector<IpPrefix> avoid = {},
                 std::uint64_t seed = 7) {
  SeededRandom random(seed);
  AddressPool::Settings settings;
  settings.ipv4 = pool;
  settings.avoid = std::move(avoid);
  return AddressPool(settings, random);
}

// An ID whose first choice in the pool is the same as that of `other`, as an attacker grinds it.
Id ground(const IpPrefix& pool, const Id& other) {
  for (std::uint32_t number = 1000000;; ++number) {
    const Id id = id_of(number);
    if (id != other && preferred_ipv4(pool, id) == preferred_ipv4(pool, other)) return id;
  }
}

}  // namespace

TEST_CASE("preferred addresses are fixed for all hosts and versions") {
  const Id id = id_of(1);
  CHECK(virtual_ipv6_prefix().length == 48);
  CHECK(virtual_ipv6_prefix().address.bytes[0] == 0xfd);
  // Hosts must agree on these: a change here breaks header preservation with older hosts.
  CHECK(virtual_ipv6_prefix().text() == "fd5f:4baf:5759::/48");
  CHECK(preferred_ipv4(kDefault, id).text() == "100.108.151.131");
  CHECK(preferred_ipv6(id).text() == "fd5f:4baf:5759:4f6b:b907:3707:db39:3e2a");
  CHECK(preferred_ipv4(kDefault, id, 1).text() == "100.121.15.53");
  CHECK(preferred_ipv4(kTiny, id).address().bytes[15] ==
        preferred_ipv4(kDefault, id).address().bytes[15]);
}

TEST_CASE("preferred addresses lie in the pool and use all of it") {
  std::set<VirtualIp> seen;
  for (const Id& id : ids(2000)) {
    const VirtualIp address = preferred_ipv4(kTiny, id);
    REQUIRE(kTiny.contains(address.address()));
    seen.insert(address);
    REQUIRE(virtual_ipv6_prefix().contains(preferred_ipv6(id).address()));
  }
  CHECK(seen.size() > 250);
}

TEST_CASE("a host's own and its peers' addresses are their preferred ones, on every host") {
  AddressPool here = make(kDefault, {}, 1), there = make(kDefault, {}, 2);
  const Id a = id_of(1), b = id_of(2);
  const auto own = *here.add_own(a);
  here.reserve({b});
  there.add_own(b);
  there.reserve({a});
  CHECK(own.ipv4 == preferred_ipv4(kDefault, a));
  CHECK(own.ipv6 == preferred_ipv6(a));
  CHECK(there.find(a)->ipv4 == own.ipv4);
  CHECK(there.find(a)->ipv6 == own.ipv6);
  CHECK(there.find(b)->ipv4 == here.find(b)->ipv4);
}

TEST_CASE("a pool with another IPv6 prefix knows its own addresses alone, and those are as fixed") {
  SeededRandom random(1);
  AddressPool::Settings settings;
  settings.ipv6 = virtual_ipv6_prefix(1);
  CHECK(settings.ipv6 != virtual_ipv6_prefix());
  AddressPool other(settings, random);
  AddressPool usual = make(kDefault, {}, 2);
  const Id id = id_of(1);
  const VirtualIp here = other.assign(id, Standing::known)->ipv6;
  const VirtualIp there = usual.assign(id, Standing::known)->ipv6;
  CHECK(settings.ipv6.contains(here.address()));
  CHECK(settings.ipv6.contains(other.stub6().address()));
  CHECK(std::equal(here.address().bytes.begin() + 6, here.address().bytes.end(),
                   there.address().bytes.begin() + 6));
  CHECK(other.slot_of(here) != AddressPool::kNoSlot);
  CHECK(other.slot_of(there) == AddressPool::kNoSlot);
  // What an earlier run had under the other prefix is left out.
  const AddressPool::Record record{id_of(2), preferred_ipv4(kDefault, id_of(2)),
                                   preferred_ipv6(id_of(2)), Standing::known};
  CHECK(other.restore(std::span(&record, 1)) == 0);
}

TEST_CASE("network, broadcast, stub and avoided addresses are never handed out") {
  std::string error;
  const std::vector<IpPrefix> avoid{*IpPrefix::parse("10.99.7.128/25", error),
                                    *IpPrefix::parse("10.99.7.9", error),
                                    *IpPrefix::parse("0.0.0.0/0", error)};
  AddressPool pool = make(kTiny, avoid);
  CHECK(pool.stub4().text() == "10.99.7.53");
  CHECK(pool.stub6().address().bytes[15] == 0x35);
  CHECK(virtual_ipv6_prefix().contains(pool.stub6().address()));
  std::set<VirtualIp> seen;
  std::uint32_t number = 0;
  while (const auto* entry = pool.assign(id_of(number++), Standing::known)) {
    REQUIRE(kTiny.contains(entry->ipv4.address()));
    seen.insert(entry->ipv4);
  }
  // 128 below .128, without .0, .9 and .53: every one is found, and then the pool is full.
  CHECK(seen.size() == 125);
  for (const char* never : {"10.99.7.0", "10.99.7.53", "10.99.7.9", "10.99.7.128", "10.99.7.255"})
    CHECK(seen.count(VirtualIp(ip(never))) == 0);
  CHECK(pool.size() == 125);
}

TEST_CASE("the same books give the same addresses, whatever their order") {
  auto book = ids(200);
  AddressPool one = make(kTiny, {}, 1), two = make(kTiny, {}, 2);
  CHECK(one.reserve(book) == 0);
  std::reverse(book.begin(), book.end());
  CHECK(two.reserve(book) == 0);
  std::set<VirtualIp> seen;
  for (const Id& id : book) {
    CHECK(one.find(id)->ipv4 == two.find(id)->ipv4);
    seen.insert(one.find(id)->ipv4);
  }
  CHECK(seen.size() == book.size());
}

TEST_CASE("a later entry of the book does not move earlier ones") {
  AddressPool pool = make(kTiny);
  const Id first = id_of(1);
  const Id rival = ground(kTiny, first);
  pool.reserve({first});
  const VirtualIp before = pool.find(first)->ipv4;
  pool.reserve({rival, first});
  CHECK(pool.find(first)->ipv4 == before);
  CHECK(pool.find(rival)->ipv4 != before);
  CHECK(pool.find(rival)->ipv4 == preferred_ipv4(kTiny, rival, 1));
}

TEST_CASE("both ways of look-up agree, and release forgets both") {
  AddressPool pool = make();
  pool.reserve(ids(1000));
  for (const Id& id : ids(1000)) {
    const auto* entry = pool.find(id);
    REQUIRE(entry);
    REQUIRE(pool.find(entry->ipv4) == entry);
    REQUIRE(pool.find(entry->ipv6) == entry);
    REQUIRE(pool.slot_of(entry->ipv4) == entry->slot);
    REQUIRE(&pool.at(entry->slot) == entry);
  }
  const auto gone = *pool.find(id_of(3));
  CHECK(pool.release(id_of(3)));
  CHECK_FALSE(pool.release(id_of(3)));
  CHECK(pool.find(id_of(3)) == nullptr);
  CHECK(pool.find(gone.ipv4) == nullptr);
  CHECK(pool.slot_of(gone.ipv6) == AddressPool::kNoSlot);
  CHECK(pool.assign(id_of(5000), Standing::known)->slot == gone.slot);
  CHECK(pool.size() == 1000);
}

TEST_CASE("addresses outside all pools belong to nobody") {
  AddressPool pool = make();
  pool.reserve(ids(10));
  CHECK(pool.slot_of(ip("8.8.8.8")) == AddressPool::kNoSlot);
  CHECK(pool.slot_of(ip("::")) == AddressPool::kNoSlot);
  // The same 80 low bits under another prefix are another address.
  IpAddress other = pool.find(id_of(1))->ipv6.address();
  other.bytes[3] ^= 1;
  CHECK(pool.slot_of(other) == AddressPool::kNoSlot);
}

TEST_CASE("a known peer with another pool keeps its announced address, which needs a route") {
  AddressPool pool = make();
  const Id id = id_of(1);
  const IpPrefix theirs{ip("172.16.0.0"), 12};
  AnnouncedAddresses announced;
  announced.ipv4 = preferred_ipv4(theirs, id).address();
  const auto* entry = pool.assign(id, Standing::known, announced);
  CHECK(entry->ipv4.address() == *announced.ipv4);
  CHECK(entry->needs_route);
  CHECK(pool.find(VirtualIp(*announced.ipv4)) == entry);
  CHECK_FALSE(pool.assign(id_of(2), Standing::known)->needs_route);
}

TEST_CASE("a peer cannot draw an address of its choice by announcing it") {
  std::string error;
  const Id id = id_of(1);
  const IpAddress shaped = preferred_ipv4({ip("172.16.0.0"), 12}, id).address();
  const IpAddress public_shaped = IpAddress::v4((shaped.to_v4() & 0xffff) | 0x08080000);
  for (const IpAddress& claim :
       {ip("8.8.8.8"), public_shaped, ip("192.168.1.1"), ip("100.64.0.53"), ip("127.0.0.1"),
        ip("224.0.0.1"), ip("100.100.100.100"), ip("fd00::1")}) {
    AddressPool pool = make();
    const auto* entry = pool.assign(id, Standing::known, {claim, std::nullopt});
    CHECK(entry->ipv4 == preferred_ipv4(kDefault, id));
    CHECK_FALSE(entry->needs_route);
  }
  AddressPool pool = make(kDefault, {*IpPrefix::parse("172.16.0.0/12", error)});
  CHECK(pool.assign(id, Standing::known, {shaped, std::nullopt})->ipv4 ==
        preferred_ipv4(kDefault, id));
}

TEST_CASE("an announced address that somebody holds is not taken from its holder") {
  AddressPool pool = make();
  const Id first = id_of(1);
  const Id rival = ground({ip("10.1.0.0"), 16}, first);
  const IpAddress wanted = preferred_ipv4({ip("10.1.0.0"), 16}, first).address();
  pool.assign(first, Standing::known, {wanted, std::nullopt});
  const auto* second = pool.assign(rival, Standing::known, {wanted, std::nullopt});
  CHECK(second->ipv4.address() != wanted);
  CHECK(pool.find(VirtualIp(wanted))->id == first);
}

TEST_CASE("a stranger never gets a hashed or announced IPv4 address, but keeps its IPv6 one") {
  AddressPool pool = make(kDefault, {}, 1), other = make(kDefault, {}, 2);
  const Id id = id_of(1);
  const VirtualIp preferred = preferred_ipv4(kDefault, id);
  const auto* entry = pool.assign(id, Standing::stranger, {preferred.address(), std::nullopt});
  CHECK(entry->ipv4 != preferred);
  CHECK(kDefault.contains(entry->ipv4.address()));
  CHECK(entry->ipv6 == preferred_ipv6(id));
  // Another host chooses another one: it is not to be foreseen from the ID.
  CHECK(other.assign(id, Standing::stranger)->ipv4 != entry->ipv4);
  // The book's entry with that hash still gets it.
  const Id ground_for = ground({ip("100.64.0.0"), 16}, id);
  pool.reserve({ground_for});
  CHECK(pool.find(ground_for)->ipv4 == preferred_ipv4(kDefault, ground_for));
}

TEST_CASE("a stranger that becomes known keeps its address and frees a stranger's place") {
  AddressPool pool = make();
  const VirtualIp address = pool.assign(id_of(1), Standing::stranger)->ipv4;
  CHECK(pool.strangers() == 1);
  CHECK(pool.assign(id_of(1), Standing::known)->ipv4 == address);
  CHECK(pool.strangers() == 0);
  CHECK(pool.assign(id_of(1), Standing::stranger)->standing == Standing::known);
  pool.release(id_of(1));
  CHECK(pool.strangers() == 0);
}

TEST_CASE("strangers cannot fill the table") {
  SeededRandom random(1);
  AddressPool::Settings settings;
  settings.max_entries = 20;
  settings.max_strangers = 5;
  AddressPool pool(settings, random);
  std::size_t accepted = 0;
  for (const Id& id : ids(100)) accepted += pool.assign(id, Standing::stranger) ? 1 : 0;
  CHECK(accepted == 5);
  CHECK(pool.reserve(ids(20, 1000)) == 5);
  CHECK(pool.size() == 20);
  pool.release(id_of(0));
  CHECK(pool.assign(id_of(0), Standing::stranger));
}

TEST_CASE("after a restart every name has the address it had") {
  AddressPool before = make(kTiny, {}, 1);
  before.add_own(id_of(999));
  before.reserve(ids(50));
  for (const Id& id : ids(20, 100)) before.assign(id, Standing::stranger);
  const IpPrefix theirs{ip("172.16.0.0"), 12};
  before.assign(id_of(500), Standing::known,
                {preferred_ipv4(theirs, id_of(500)).address(), std::nullopt});
  const auto records = before.records();
  CHECK(records.size() == 71);

  AddressPool after = make(kTiny, {}, 2);
  after.add_own(id_of(999));
  CHECK(after.restore(records) == 71);
  auto book = ids(60);  // the book has grown meanwhile
  CHECK(after.reserve(book) == 0);
  for (const auto& record : records) {
    const auto* entry = after.find(record.id);
    REQUIRE(entry);
    CHECK(entry->ipv4 == record.ipv4);
    CHECK(entry->ipv6 == record.ipv6);
    CHECK(entry->standing == record.standing);
  }
  CHECK(after.find(id_of(500))->needs_route);
  CHECK(after.find(id_of(999))->ipv4 == before.find(id_of(999))->ipv4);
  CHECK(after.strangers() == 20);
}

TEST_CASE("records that do not fit are left out") {
  AddressPool source = make();
  source.reserve(ids(1));
  const auto good = source.records()[0];
  const auto refused = [&](auto change) {
    auto record = good;
    change(record);
    AddressPool pool = make();
    return pool.restore(std::vector{record}) == 0 && pool.size() == 0;
  };
  CHECK(refused([](auto& r) { r.ipv4 = VirtualIp(ip("8.8.8.8")); }));
  CHECK(refused([](auto& r) { r.ipv4 = VirtualIp(ip("100.64.0.53")); }));
  CHECK(refused([](auto& r) { r.ipv4 = VirtualIp(ip("fd00::1")); }));
  CHECK(refused([](auto& r) { r.ipv6 = VirtualIp(ip("2001:db8::1")); }));
  CHECK(refused([](auto& r) { r.ipv6 = make().stub6(); }));
  CHECK(refused([](auto& r) { r.standing = Standing::own; }));
  AddressPool pool = make();
  auto twin = good;
  twin.id = id_of(77);
  CHECK(pool.restore(std::vector{good, good, twin}) == 1);
}

TEST_CASE("pools that cannot serve are named") {
  std::string error;
  for (const char* text : {"100.64.0.0/10", "10.0.0.0/8", "192.168.9.0/24"})
    CHECK(AddressPool::check(*IpPrefix::parse(text, error)).empty());
  for (const char* text :
       {"10.0.0.0/25", "10.0.0.0/7", "fd00::/16", "127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/8"}) {
    INFO(text);
    const auto parsed = IpPrefix::parse(text, error);
    CHECK((!parsed || !AddressPool::check(*parsed).empty()));
  }
}

TEST_CASE("when the whole pool is avoided there is no own address") {
  AddressPool pool = make(kTiny, {kTiny});
  CHECK(pool.add_own(id_of(1)) == nullptr);
}
