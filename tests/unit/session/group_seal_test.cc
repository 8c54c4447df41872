#include "overlay/session/group_seal.hh"

#include <algorithm>
#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {

const PublicKey kGroup = Identity(std::array<std::uint8_t, 32>{9}).key();
const PublicKey kAlice = Identity(std::array<std::uint8_t, 32>{1}).key();
const PublicKey kBob = Identity(std::array<std::uint8_t, 32>{2}).key();
const GroupSecret kSecret = group_secret(kGroup, std::nullopt);
constexpr TimePoint kNow{1h};

using Message = std::vector<std::uint8_t>;

Message sealed(GroupSealer& sealer, std::string_view text) {
  Message message(wire::GroupData::kFront + text.size() + wire::GroupData::kTag);
  std::copy(text.begin(), text.end(), message.begin() + wire::GroupData::kFront);
  REQUIRE(sealer.seal(message));
  return message;
}

struct Heard {
  GroupOpener::Result result;
  std::string text;
};

Heard open(GroupOpener& opener, Message message, TimePoint now = kNow) {
  const auto opened = opener.open(message, now);
  return {opened.result, std::string(as_text(opened.packet))};
}

}  // namespace

TEST_CASE("what one member seals the others open, and learn who sealed it") {
  GroupSealer alice(kSecret, kAlice, 100, 7), bob(kSecret, kBob, 100, 7);
  GroupOpener opener(kSecret);
  Message first = sealed(alice, "from alice"), second = sealed(bob, "from bob");
  const auto opened = opener.open(first, kNow);
  CHECK(opened.result == GroupOpener::Result::opened);
  CHECK(opened.sender == kAlice);
  CHECK(as_text(opened.packet) == "from alice");
  CHECK(opener.open(second, kNow).sender == kBob);
  CHECK(first != second);
}

TEST_CASE("every byte of a group's packet matters") {
  GroupSealer alice(kSecret, kAlice, 100, 7);
  const Message message = sealed(alice, "hello");
  for (std::size_t i = 0; i < message.size(); ++i) {
    GroupOpener opener(kSecret);
    Message wrong = message;
    wrong[i] ^= 1;
    CHECK(open(opener, wrong).result == GroupOpener::Result::not_authentic);
    CHECK(opener.senders() == 0);
  }
  GroupOpener opener(kSecret);
  CHECK(open(opener, Message(message.begin(), message.begin() + 72)).result ==
        GroupOpener::Result::malformed);
}

TEST_CASE(
    "another secret opens nothing: the further one counts, and the key alone is another one") {
  GroupSealer alice(kSecret, kAlice, 100, 7);
  GroupOpener other(group_secret(kGroup, GroupSecret{1}));
  CHECK(open(other, sealed(alice, "hello")).result == GroupOpener::Result::not_authentic);
  CHECK(group_owner(kSecret)->key() == group_owner(group_secret(kGroup, std::nullopt))->key());
  CHECK(group_owner(kSecret)->key() != group_owner(group_secret(kGroup, GroupSecret{1}))->key());
  CHECK(group_owner(kSecret)->key() != kGroup);
}

TEST_CASE("a packet counts once, in any order; what a sender said before its restart not at all") {
  GroupSealer alice(kSecret, kAlice, 100, 7);
  GroupOpener opener(kSecret);
  const Message one = sealed(alice, "1"), two = sealed(alice, "2"), three = sealed(alice, "3");
  CHECK(open(opener, three).text == "3");
  CHECK(open(opener, one).text == "1");
  CHECK(open(opener, one).result == GroupOpener::Result::replayed);
  CHECK(open(opener, three).result == GroupOpener::Result::replayed);
  GroupSealer again(kSecret, kAlice, 200, 9);
  CHECK(open(opener, sealed(again, "restarted")).text == "restarted");
  CHECK(open(opener, two).result == GroupOpener::Result::older_start);
  // With the same start and another salt neither: one of the two is not the newer one.
  GroupSealer twin(kSecret, kAlice, 200, 10);
  CHECK(open(opener, sealed(twin, "twin")).result == GroupOpener::Result::older_start);
  // One whose clock went back is heard after an hour of silence.
  GroupSealer back(kSecret, kAlice, 50, 11);
  CHECK(open(opener, sealed(back, "x"), kNow + 59min).result == GroupOpener::Result::older_start);
  CHECK(open(opener, sealed(back, "y"), kNow + 61min).text == "y");
}

TEST_CASE("senders are bounded: whoever was silent for longest gives way") {
  GroupOpener opener(kSecret);
  std::vector<Message> messages;
  for (std::uint64_t i = 0; i < GroupOpener::kMaxSenders + 10; ++i) {
    PublicKey key;
    Writer(key.bytes).u64(i);
    GroupSealer sealer(kSecret, key, 1, 1);
    messages.push_back(sealed(sealer, "x"));
    CHECK(open(opener, messages.back(), kNow + std::chrono::seconds(i)).text == "x");
  }
  CHECK(opener.senders() == GroupOpener::kMaxSenders);
  CHECK(open(opener, messages.back(), kNow + 300s).result == GroupOpener::Result::replayed);
}
