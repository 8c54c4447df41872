#include "proxy/settings/members.hh"

namespace i3 {

std::vector<MemberEntry> read_members(const XmlElement& root, const AddressBooks& books) {
  constexpr std::size_t kMost = 16;
  std::vector<MemberEntry> members;
  for (const XmlElement& element : root.children("member")) {
    element.expect({"group", "delegation"});
    element.required("delegation");
    MemberEntry member;
    member.place = element.place();
    member.token = *element.value("delegation", MemberToken::decode);
    member.name = books.name_of(member.token.group);
    if (const std::string named = element.text_or("group", ""); !named.empty()) {
      const auto key = books.key_of(named);
      if (!key)
        element.fail_value("group",
                           "is in no address book; allowed are a name from there or a key");
      if (*key != member.token.group)
        element.fail_value("delegation", "is a word of the group " + member.token.group.text() +
                                             ", not of " + quoted(named));
    }
    for (const MemberEntry& other : members)
      if (other.token.group == member.token.group)
        element.fail("this host is a member of " + quoted(member.name) +
                     " already; remove one of the lines");
    if (members.size() == kMost) element.fail("a host is a member of at most 16 groups");
    members.push_back(std::move(member));
  }
  return members;
}

}  // namespace i3
