#include "proxy/settings/invitation.hh"

#include "samples.hh"

using namespace i3;
using namespace i3::test;

namespace {

Invitation sample() {
  Invitation invitation;
  invitation.name = "home";
  invitation.key = key_number(1);
  invitation.ipv4 = IpAddress::parse("100.64.3.7");
  invitation.ipv6 = IpAddress::parse("fd00::7");
  invitation.operator_key = key_number(3);
  invitation.nodes = {
      {{*Endpoint::parse("203.0.113.7:5100"), *Endpoint::parse("[2001:db8::7]:5100")},
       key_number(2)},
      {{*Endpoint::parse("198.51.100.4:5100")}, {}}};
  return invitation;
}

std::string reason_for(std::string_view text) {
  std::string why = "accepted";
  Invitation::decode(text, why);
  return why;
}

}  // namespace

TEST_CASE("an invitation comes back as it went, whole or without what is optional") {
  std::string why;
  CHECK(Invitation::decode(sample().encode(), why) == sample());
  Invitation card;
  card.name = "x";
  card.key = key_number(1);
  CHECK(Invitation::decode(card.encode(), why) == card);
  CHECK(card.encode().find_first_of(" \n") == std::string::npos);
  CHECK(sample().entry_nodes().size() == 3);
  CHECK(sample().entry_nodes()[1] ==
        EntryNode{*Endpoint::parse("[2001:db8::7]:5100"), key_number(2)});
}

TEST_CASE("what mail and terminals do to an invitation does it no harm") {
  std::string text = sample().encode();
  for (std::size_t at = 70; at < text.size(); at += 72) text.insert(at, "\r\n> ");
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  std::string why;
  CHECK(Invitation::decode("  " + text + "\n", why) == sample());
}

TEST_CASE("every single wrong character is noticed") {
  const std::string text = sample().encode();
  std::string why;
  for (std::size_t i = Invitation::kPrefix.size(); i < text.size(); ++i) {
    std::string wrong = text;
    wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
    CHECK_FALSE(Invitation::decode(wrong, why));
  }
  for (std::size_t i = 0; i < text.size(); ++i)
    CHECK_FALSE(Invitation::decode(text.substr(0, i), why));
}

TEST_CASE("what is no invitation is told apart from one that is damaged or newer") {
  CHECK(reason_for("hello") == "this is no invitation: it does not start with i3-invite:");
  CHECK(reason_for("i3-invite:") ==
        "the invitation is damaged: a part is missing or a character is wrong; copy it again");
  std::string typo = sample().encode();
  typo[20] = typo[20] == 'a' ? 'b' : 'a';
  CHECK(reason_for(typo) == "the invitation is damaged: its checksum does not fit; copy it again");
  const std::uint8_t newer[] = {2, 0};
  std::vector<std::uint8_t> bytes(newer, newer + 2);
  const auto sum = blake2b<4>("i3 invitation", {Bytes(bytes)});
  bytes.insert(bytes.end(), sum.begin(), sum.end());
  CHECK(reason_for("i3-invite:" + base32(bytes)) ==
        "the invitation has version 2, this program knows version 1; bring the older of both "
        "programs up to date");
}

TEST_CASE("an invitation whose checksum fits but whose content cannot be is refused") {
  Invitation wrong = sample();
  wrong.key = PublicKey{};
  CHECK(reason_for(wrong.encode()) ==
        "the invitation is wrong: its maker's program wrote what cannot be");
  wrong = sample();
  wrong.name = "a b";
  CHECK(reason_for(wrong.encode()).starts_with("the invitation is wrong"));
  wrong = sample();
  wrong.nodes[1].addresses[0].port = 0;
  CHECK(reason_for(wrong.encode()).starts_with("the invitation is wrong"));
}

TEST_CASE("more nodes than fit are left out, and the longest invitation is read") {
  Invitation large = sample();
  large.name = std::string(63, 'a') + '.' + std::string(63, 'b') + '.' + std::string(63, 'c') +
               '.' + std::string(61, 'd');
  InvitedNode node{std::vector<Endpoint>(5, *Endpoint::parse("[2001:db8::7]:5100")), key_number(2)};
  large.nodes.assign(20, node);
  std::string why;
  const auto back = Invitation::decode(large.encode(), why);
  REQUIRE_MESSAGE(back, why);
  CHECK(back->nodes.size() == Invitation::kMaximumNodes);
  CHECK(back->nodes[0].addresses.size() == Invitation::kMaximumAddresses);
}
