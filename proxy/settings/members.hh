// Owns <member .../>: the groups that a host is a member of.
#pragma once

#include "proxy/settings/address_book.hh"
#include "proxy/settings/member_token.hh"

namespace i3 {

struct MemberEntry {
  std::string name;  // of the group: the book's, else the key's text
  MemberToken token;
  XmlPlace place;
};

// All <member> of a daemon's file; ConfigError for a token that is damaged or of another group than
// the one that is named.
std::vector<MemberEntry> read_members(const XmlElement& root, const AddressBooks& books);

}  // namespace i3
