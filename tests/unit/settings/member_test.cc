// Member tokens, <member> and what books say of groups.
#include "proxy/settings/edit.hh"
#include "proxy/settings/gateway_settings.hh"
#include "proxy/settings/members.hh"
#include "proxy/settings/proxy_settings.hh"
#include "samples.hh"

using namespace i3;
using namespace i3::test;

namespace {

const Identity kGroup(std::array<std::uint8_t, 32>{1});
const Identity kMember(std::array<std::uint8_t, 32>{2});

MemberToken sample() {
  return {kGroup.key(), wire::Delegation::issue(kGroup, kMember.key(), 77, 8, {0xa3})};
}

std::string reason_for(std::string_view text) {
  std::string why = "accepted";
  MemberToken::decode(text, why);
  return why;
}

ProxySettings proxy(const std::string& member, const std::string& entry = "") {
  return parse_proxy_settings("<i3-proxy><address-book file=\"/b\"/>" + member + "</i3-proxy>",
                              "proxy.xml", [&](const std::string&) {
                                return "<address-book><group name=\"cdn\" key=\"" +
                                       kGroup.key().text() + "\" " + entry + "/></address-book>";
                              });
}

std::string refusal(const std::string& member, const std::string& entry = "") {
  try {
    proxy(member, entry);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a member token comes back as it went, also out of a mail") {
  std::string why;
  std::string text = sample().encode();
  CHECK(text.find_first_of(" \n") == std::string::npos);
  CHECK(MemberToken::decode(text, why) == sample());
  text.insert(100, "\r\n> ");
  text[80] = static_cast<char>(std::toupper(text[80]));
  CHECK(MemberToken::decode("  " + text + '\n', why) == sample());
}

TEST_CASE("a member token that is damaged or that the group did not sign is refused by name") {
  const std::string text = sample().encode();
  for (std::size_t i = MemberToken::kPrefix.size(); i < text.size(); ++i) {
    std::string wrong = text;
    wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
    CHECK(reason_for(wrong).starts_with("is damaged"));
  }
  CHECK(reason_for(text.substr(0, text.size() - 8)).starts_with("is damaged"));
  CHECK(reason_for("i3-invite:abc").starts_with("is no member token"));
  MemberToken forged = sample();
  forged.delegation = wire::Delegation::issue(kMember, kMember.key(), 77);
  CHECK(reason_for(forged.encode()).starts_with("is not signed by the group"));
}

TEST_CASE("suffixes are hexadecimal digits, four bits each") {
  std::string why;
  CHECK(parse_suffix("", why) == SuffixText{});
  CHECK(parse_suffix("A3f", why) == SuffixText{{0xa3, 0xf0}, 12});
  CHECK(suffix_text({0xa3, 0xf0}, 12) == "a3f");
  CHECK(parse_suffix(std::string(32, 'f'), why)->bits == 128);
  CHECK_FALSE(parse_suffix(std::string(33, 'f'), why));
  CHECK_FALSE(parse_suffix("eu", why));
}

TEST_CASE("a host says of which groups it is a member") {
  const std::string token = sample().encode();
  const ProxySettings settings =
      proxy("<member group=\"cdn\" delegation=\"" + token + "\"/>", "prefer=\"a3\"");
  REQUIRE(settings.members.size() == 1);
  CHECK(settings.members[0].token == sample());
  CHECK(settings.members[0].name == "cdn");
  CHECK(settings.books.find("cdn")->prefer == SuffixText{{0xa3}, 8});
  // The token says which group it is.
  CHECK(proxy("<member delegation=\"" + token + "\"/>").members[0].name == "cdn");
  CHECK(refusal("<member group=\"other\" delegation=\"" + token + "\"/>") ==
        "proxy.xml:1:36: group=\"other\" is in no address book; allowed are a name from there or a "
        "key");
  CHECK(refusal("<member group=\"" + kMember.key().text() + "\" delegation=\"" + token + "\"/>")
            .find("is a word of the group " + kGroup.key().text()) != std::string::npos);
  CHECK(refusal("<member group=\"cdn\"/>") == "proxy.xml:1:36: <member> needs delegation=\"...\"");
  CHECK(refusal("<member delegation=\"" + token + "\"/><member delegation=\"" + token + "\"/>")
            .ends_with("this host is a member of \"cdn\" already; remove one of the lines"));
}

TEST_CASE("a gateway is a member of groups as a host is") {
  const auto gateway = [](const std::string& member) {
    return parse_gateway_settings("<i3-gateway><i3-to-ip/>" + member + "</i3-gateway>",
                                  "gateway.xml", [](const std::string&) { return ""; });
  };
  CHECK(gateway("").members.empty());
  const auto settings = gateway("<member delegation=\"" + sample().encode() + "\"/>");
  REQUIRE(settings.members.size() == 1);
  CHECK(settings.members[0].token == sample());
  CHECK_THROWS_AS(gateway("<member delegation=\"i3-member:aaaa\"/>"), ConfigError);
}

TEST_CASE("what is for one kind of group only is refused for the other") {
  CHECK(refusal("", "secret=\"" + kMember.key().text() + '"')
            .ends_with("secret is for mode=\"multicast\" only; remove it or change the mode"));
  CHECK(refusal("", "mode=\"multicast\" prefer=\"a\"")
            .ends_with("prefer is for mode=\"anycast\" only; remove it or change the mode"));
  CHECK(refusal("", "mode=\"multicast\" secret=\"short\"")
            .ends_with("is no secret; write 52 characters as i3-ctl keygen puts them into a file"));
  CHECK(refusal("", "prefer=\"eu\"")
            .ends_with("is no suffix; write up to 32 hexadecimal digits, such as a3"));
}

TEST_CASE("a book that is imported keeps what it says of groups") {
  const std::string entry = "<group name=\"radio\" key=\"" + kGroup.key().text() +
                            "\" mode=\"multicast\" secret=\"" + base32(kMember.seed()) +
                            "\" address=\"239.1.2.3\"/>";
  const std::string near =
      "<group name=\"cdn\" key=\"" + kMember.key().text() + "\" mode=\"anycast\" prefer=\"a3\"/>";
  const auto imported =
      book_with_imported("<address-book>\n</address-book>\n", "b",
                         "<address-book>" + entry + near + "</address-book>", "i");
  CHECK(imported.text.find(entry) != std::string::npos);
  CHECK(imported.text.find(near) != std::string::npos);
}
