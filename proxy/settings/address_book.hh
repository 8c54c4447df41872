// Owns address books: which name means which key, and how that peer is to be treated.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "overlay/base/keys.hh"
#include "overlay/base/xml.hh"
#include "proxy/settings/member_token.hh"

namespace i3 {

enum class EntryKind { host, group, gateway, middlebox };
enum class GroupMode { anycast, multicast };
std::string_view name_of(EntryKind kind);
std::string_view name_of(GroupMode mode);

struct BookEntry {
  EntryKind kind = EntryKind::host;
  std::string name;  // lower case, without the overlay's suffix
  PublicKey key;
  bool shortcuts = true;                // host: may know our address
  bool anonymous = false;               // host: contacted under a fresh identity
  std::string middlebox;                // host, gateway: name of an entry; empty: none
  std::string stack;                    // the same of a box that passes sealed packets on
  GroupMode mode = GroupMode::anycast;  // group
  std::optional<IpAddress> address;     // group: the multicast address programs use
  SuffixText prefer;                    // group, anycast: whose members are liked best
  // group, multicast: what its members know besides the key; nothing: the key is what they know
  std::optional<std::array<std::uint8_t, 32>> secret;
  XmlPlace place;
};

// One file.
class AddressBook {
 public:
  // Throw ConfigError; the place is the offending element's in the book.
  static AddressBook parse(std::string text, const std::string& file);
  static AddressBook load(const std::string& path);

  const std::string& file() const { return file_; }
  const std::vector<BookEntry>& entries() const { return entries_; }

 private:
  std::string file_;
  std::vector<BookEntry> entries_;
};

// All books of a host. The same name in two books means the first one's entry. Returned pointers
// live as long as this does.
class AddressBooks {
 public:
  AddressBooks() = default;
  // ConfigError if an entry's middlebox or stack is in none of the books.
  explicit AddressBooks(std::vector<AddressBook> books);
  AddressBooks(AddressBooks&&) = default;
  AddressBooks& operator=(AddressBooks&&) = default;
  AddressBooks(const AddressBooks& other) : AddressBooks(other.books_) {}
  AddressBooks& operator=(const AddressBooks& other) { return *this = AddressBooks(other); }

  // Letter case does not matter; without the overlay's suffix.
  const BookEntry* find(std::string_view name) const;
  // The first entry with that key.
  const BookEntry* find(const PublicKey& key) const;
  // A name of the books or 52 characters of a key.
  std::optional<PublicKey> key_of(std::string_view name_or_key) const;
  // The entry's name, or the key's text.
  std::string name_of(const PublicKey& key) const;

  // In order of the books; entries hidden by an earlier book's are left out.
  const std::vector<const BookEntry*>& entries() const { return visible_; }
  const std::vector<AddressBook>& books() const { return books_; }

 private:
  void check_middlebox(const BookEntry& entry) const;
  void check_stack(const BookEntry& entry) const;

  std::vector<AddressBook> books_;
  std::vector<const BookEntry*> visible_;
  std::unordered_map<std::string, const BookEntry*> by_name_;
  std::unordered_map<PublicKey, const BookEntry*> by_key_;
};

// <address-book file=".."/> of a daemon's file: reads them all. ConfigError names the line in the
// daemon's file if a book cannot be read, the book's own if it is wrong.
AddressBooks read_books(const XmlElement& root, const FileSource& source);

}  // namespace i3
