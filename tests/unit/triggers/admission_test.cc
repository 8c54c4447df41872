// Who may insert, remove and refresh; each attempt at theft by name.
#include "overlay/triggers/admission.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {

constexpr WallTime kWall = 1'750'000'000'000'000'000;
constexpr WallTime kLater = kWall + 3'600'000'000'000;
const Endpoint kHome{IpAddress::v4(0xc0000201), 4000};
const Endpoint kThief{IpAddress::v4(0xc6336401), 4000};
const RingId kNode{1, 2}, kOtherNode{3, 4};

struct Bench {
  wire::Insert insertion(const Identity& owner, std::uint64_t sequence = 1,
                         std::uint32_t salt = 0) {
    wire::Insert insert;
    insert.nonce = 1;
    insert.owner = owner.key();
    insert.salt = salt;
    insert.id = owner_prefix(owner.key(), salt);
    insert.sequence = sequence;
    return insert;
  }
  Admission::Answer offer(const std::vector<std::uint8_t>& message, const Endpoint& from,
                          RingId node = kNode) {
    const auto parsed = wire::Insert::parse(message);
    REQUIRE(parsed);
    return admission.insert(*parsed, message, from, node, true, now, wall, [&] {
      ++verifications;
      return may_verify;
    });
  }
  std::vector<std::uint8_t> unsigned_form(const wire::Insert& insert) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    insert.write(writer);
    return {writer.written().begin(), writer.written().end()};
  }
  std::vector<std::uint8_t> proof(wire::Insert insert, const Identity& signer, const Endpoint& from,
                                  RingId node = kNode, const Endpoint* observed = nullptr) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    insert.write_proof(writer, signer, admission.cookie(from, insert.id, now),
                       observed ? *observed : from, node);
    return {writer.written().begin(), writer.written().end()};
  }
  static bool challenged(const Admission::Answer& answer) {
    return std::holds_alternative<Admission::Challenge>(answer);
  }
  static bool inserted(const Admission::Answer& answer) {
    return std::holds_alternative<Admission::Inserted>(answer);
  }
  static bool refused(const Admission::Answer& answer, wire::Refusal reason) {
    const auto* refusal = std::get_if<Admission::Refused>(&answer);
    return refusal && refusal->reason == reason;
  }

  SeededRandom random{5};
  TimePoint now{1h};
  WallTime wall = kWall;
  bool may_verify = true;
  int verifications = 0;
  TriggerTable table{TriggerLimits{.per_key = 4}, random};
  Admission admission{table, random};
  std::unique_ptr<Identity> alice = Identity::generate(random);
  std::unique_ptr<Identity> mallory = Identity::generate(random);
};

}  // namespace

TEST_CASE("an insertion without proof is challenged and leaves no state") {
  Bench bench;
  CHECK(bench.challenged(bench.offer(bench.unsigned_form(bench.insertion(*bench.alice)), kHome)));
  CHECK(bench.table.size() == 0);
  CHECK(bench.verifications == 0);
}

TEST_CASE("the owner's proof for the challenge's cookie inserts") {
  Bench bench;
  const auto answer =
      bench.offer(bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome), kHome);
  REQUIRE(bench.inserted(answer));
  CHECK(!std::get<Admission::Inserted>(answer).label.none());
  CHECK(std::get<Admission::Inserted>(answer).lifetime == 30s);
  CHECK(bench.table.size() == 1);
}

TEST_CASE("a proof seen on the way and replayed from another address is only challenged") {
  Bench bench;
  const auto message = bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome);
  CHECK(bench.challenged(bench.offer(message, kThief)));
  CHECK(bench.verifications == 0);
  CHECK(bench.table.size() == 0);
}

TEST_CASE("a cookie fetched by the thief does not carry the victim's signature to its address") {
  Bench bench;
  // The victim signed its own address; the thief swaps in a cookie for the thief's.
  auto insert = bench.insertion(*bench.alice);
  const auto message = bench.proof(insert, *bench.alice, kThief, kNode, &kHome);
  CHECK(bench.refused(bench.offer(message, kThief), wire::Refusal::bad_proof));
}

TEST_CASE("a proof made for one node is worth nothing at another") {
  Bench bench;
  const auto message = bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome, kOtherNode);
  CHECK(bench.refused(bench.offer(message, kHome), wire::Refusal::bad_proof));
}

TEST_CASE("somebody else's ID is refused under one's own key, before any signature is looked at") {
  Bench bench;
  auto insert = bench.insertion(*bench.mallory);
  insert.id = owner_prefix(bench.alice->key(), 0);
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
  CHECK(bench.verifications == 0);
}

TEST_CASE("somebody else's key without its signature is refused") {
  Bench bench;
  const auto insert = bench.insertion(*bench.alice);
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
  CHECK(bench.table.size() == 0);
}

TEST_CASE("an ID under another salt than the one named is refused") {
  Bench bench;
  auto insert = bench.insertion(*bench.alice, 1, 7);
  insert.salt = 8;
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.alice, kHome), kHome),
                      wire::Refusal::bad_proof));
}

TEST_CASE("one changed bit anywhere in a proof inserts nothing") {
  Bench bench;
  const auto good = bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome);
  int accepted = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto changed = good;
    changed[at] ^= 1;
    if (const auto parsed = wire::Insert::parse(changed); parsed && changed[1] == good[1])
      if (bench.inserted(bench.offer(changed, kHome))) ++accepted;
  }
  CHECK(accepted == 0);
  CHECK(bench.table.size() == 0);
}

TEST_CASE("a cookie lives through one change of epoch, and not longer") {
  Bench bench;
  const auto message = bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome);
  bench.now += 59s;
  CHECK(bench.inserted(bench.offer(message, kHome)));
  bench.now += 61s;
  CHECK(bench.challenged(bench.offer(message, kHome)));
}

TEST_CASE("a cookie serves all IDs under the same first 128 bits and no others") {
  Bench bench;
  auto first = bench.insertion(*bench.alice), second = first;
  second.id.bytes[20] = 9;
  const auto cookie = bench.admission.cookie(kHome, first.id, bench.now);
  CHECK(cookie == bench.admission.cookie(kHome, second.id, bench.now));
  CHECK(cookie != bench.admission.cookie(kHome, owner_prefix(bench.alice->key(), 1), bench.now));
}

TEST_CASE("an older insertion does not bring an old address back") {
  Bench bench;
  const auto old = bench.proof(bench.insertion(*bench.alice, 1), *bench.alice, kHome);
  REQUIRE(bench.inserted(bench.offer(old, kHome)));
  REQUIRE(bench.inserted(
      bench.offer(bench.proof(bench.insertion(*bench.alice, 2), *bench.alice, kThief), kThief)));
  CHECK(bench.refused(bench.offer(old, kHome), wire::Refusal::stale));
}

TEST_CASE("a removal needs the same proof, and its insertion cannot be replayed afterwards") {
  Bench bench;
  const auto message = bench.proof(bench.insertion(*bench.alice, 1), *bench.alice, kHome);
  REQUIRE(bench.inserted(bench.offer(message, kHome)));
  auto removal = bench.insertion(*bench.alice, 2);
  removal.remove = true;
  CHECK(bench.challenged(bench.offer(bench.unsigned_form(removal), kHome)));
  CHECK(bench.refused(bench.offer(bench.proof(removal, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
  CHECK(bench.table.size() == 1);
  CHECK(bench.inserted(bench.offer(bench.proof(removal, *bench.alice, kHome), kHome)));
  CHECK(bench.table.size() == 0);
  CHECK(bench.refused(bench.offer(message, kHome), wire::Refusal::stale));
}

TEST_CASE("a key over its quota is refused before its signature is looked at") {
  Bench bench;
  for (std::uint32_t salt = 0; salt < 4; ++salt)
    REQUIRE(bench.inserted(bench.offer(
        bench.proof(bench.insertion(*bench.alice, 1, salt), *bench.alice, kHome), kHome)));
  const int before = bench.verifications;
  CHECK(bench.refused(
      bench.offer(bench.proof(bench.insertion(*bench.alice, 1, 4), *bench.alice, kHome), kHome),
      wire::Refusal::quota));
  CHECK(bench.verifications == before);
}

TEST_CASE("a node that may not verify now answers nothing and stores nothing") {
  Bench bench;
  bench.may_verify = false;
  const auto answer =
      bench.offer(bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome), kHome);
  CHECK(std::holds_alternative<Admission::Silence>(answer));
  CHECK(bench.table.size() == 0);
}

TEST_CASE("a member inserts under its group's prefix with a delegation, and only then") {
  Bench bench;
  auto insert = bench.insertion(*bench.alice);
  insert.delegation = wire::Delegation::issue(*bench.alice, bench.mallory->key(), kLater);
  CHECK(bench.inserted(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief)));
  insert.sequence = 2;
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.alice, kHome), kHome),
                      wire::Refusal::bad_proof));
}

TEST_CASE("a delegation that ran out, or that the group did not sign, is refused") {
  Bench bench;
  auto insert = bench.insertion(*bench.alice);
  insert.delegation = wire::Delegation::issue(*bench.alice, bench.mallory->key(), kWall - 1);
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
  insert.delegation = wire::Delegation::issue(*bench.mallory, bench.mallory->key(), kLater);
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
}

TEST_CASE("a delegation opens IDs that begin with its suffix bits, under any salt, and no others") {
  Bench bench;
  const auto offer = [&](std::uint32_t salt, wire::Suffix at, std::uint8_t bits, wire::Suffix given,
                         std::uint64_t sequence) {
    auto insert = bench.insertion(*bench.alice, sequence, salt);
    std::copy(at.begin(), at.end(), insert.id.bytes.begin() + 16);
    insert.delegation =
        wire::Delegation::issue(*bench.alice, bench.mallory->key(), kLater, bits, given);
    return bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief);
  };
  CHECK(bench.inserted(offer(0, {0xb7}, 3, {0xa0}, 1)));
  CHECK(bench.inserted(offer(7, {0xb0}, 4, {0xbf}, 3)));  // bits beyond the fourth do not count
  CHECK(bench.refused(offer(0, {0xc0}, 3, {0xa0}, 4), wire::Refusal::bad_proof));
  CHECK(bench.refused(offer(0, {0x20}, 1, {0x80}, 5), wire::Refusal::bad_proof));
  const wire::Suffix whole{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  CHECK(bench.inserted(offer(0, whole, 128, whole, 6)));
  wire::Suffix last = whole;
  last[15] ^= 1;
  CHECK(bench.refused(offer(0, last, 128, whole, 7), wire::Refusal::bad_proof));
  CHECK(bench.inserted(offer(0, last, 127, whole, 8)));
}

TEST_CASE("more suffix bits than there are, or bits set beyond them, are malformed") {
  Bench bench;
  auto insert = bench.insertion(*bench.alice);
  insert.delegation =
      wire::Delegation::issue(*bench.alice, bench.mallory->key(), kLater, 9, {0xa0, 0x80});
  CHECK(wire::Insert::parse(bench.unsigned_form(insert)));
  insert.delegation->suffix_bits = 8;
  CHECK(!wire::Insert::parse(bench.unsigned_form(insert)));
  insert.delegation->suffix_bits = 129;
  CHECK(!wire::Insert::parse(bench.unsigned_form(insert)));
}

TEST_CASE("a delegation of one ID cannot be stretched to another by changing its bits") {
  Bench bench;
  auto insert = bench.insertion(*bench.alice);
  insert.delegation =
      wire::Delegation::issue(*bench.alice, bench.mallory->key(), kLater, 4, {0xf0});
  insert.delegation->suffix_bits = 0;
  insert.delegation->suffix = {};
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
}

TEST_CASE("an ID is a trigger's target only with its owner's consent to this very trigger") {
  Bench bench;
  const Id target = owner_prefix(bench.alice->key(), 0);
  auto insert = bench.insertion(*bench.mallory);
  insert.stack = {wire::Consent::issue(*bench.mallory, target, 0, insert.id, kLater)};
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
  insert.stack = {wire::Consent::issue(*bench.alice, target, 0, target, kLater)};
  CHECK(bench.refused(bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief),
                      wire::Refusal::bad_proof));
  insert.stack = {wire::Consent::issue(*bench.alice, target, 0, insert.id, kLater)};
  const auto answer = bench.offer(bench.proof(insert, *bench.mallory, kThief), kThief);
  REQUIRE(bench.inserted(answer));
  CHECK(std::get<Admission::Inserted>(answer).label.none());
}

TEST_CASE("a refresh token works from its own address only, for its own keys only") {
  Bench bench;
  const auto answer =
      bench.offer(bench.proof(bench.insertion(*bench.alice), *bench.alice, kHome), kHome);
  wire::Refresh refresh;
  refresh.owner = refresh.member = bench.alice->key();
  refresh.token = std::get<Admission::Inserted>(answer).token;
  CHECK(bench.admission.granted(refresh, kHome, bench.now));
  CHECK(!bench.admission.granted(refresh, kThief, bench.now));
  refresh.member = bench.mallory->key();
  CHECK(!bench.admission.granted(refresh, kHome, bench.now));
}

TEST_CASE("two nodes give different cookies and tokens") {
  Bench one, two;
  SeededRandom other(99);
  Admission elsewhere(two.table, other);
  const Id id = owner_prefix(one.alice->key(), 0);
  CHECK(one.admission.cookie(kHome, id, one.now) != elsewhere.cookie(kHome, id, one.now));
}
