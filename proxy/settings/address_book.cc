#include "proxy/settings/address_book.hh"

#include <unordered_set>

namespace i3 {
namespace {

EntryKind kind_of(const XmlElement& element) {
  if (element.name() == "host") return EntryKind::host;
  if (element.name() == "group") return EntryKind::group;
  if (element.name() == "gateway") return EntryKind::gateway;
  return EntryKind::middlebox;
}

std::optional<std::array<std::uint8_t, 32>> read_secret(std::string_view text, std::string& why) {
  const auto bytes = from_base32(text);
  if (!bytes || bytes->size() != 32) {
    why = "is no secret; write 52 characters as i3-ctl keygen puts them into a file";
    return std::nullopt;
  }
  std::array<std::uint8_t, 32> secret;
  std::copy(bytes->begin(), bytes->end(), secret.begin());
  return secret;
}

void read_group(const XmlElement& element, BookEntry& entry) {
  entry.mode = element.one_of<GroupMode>(
      "mode", {{"anycast", GroupMode::anycast}, {"multicast", GroupMode::multicast}},
      GroupMode::anycast);
  entry.address = element.value(
      "address", [](std::string_view text, std::string& why) -> std::optional<IpAddress> {
        auto address = IpAddress::parse(text);
        if (address && address->multicast() && !for_one_link(*address)) return address;
        if (address && address->multicast()) {
          why = "is for one link only; write another one, such as 239.1.2.3 or ff15::1:3";
          return std::nullopt;
        }
        why = "is no multicast address; write one of 224.0.0.0/4 or ff00::/8";
        return std::nullopt;
      });
  entry.prefer = element.value("prefer", parse_suffix).value_or(SuffixText{});
  entry.secret = element.value("secret", read_secret);
  if (entry.mode != GroupMode::multicast)
    for (const char* attribute : {"address", "secret"})
      if (!element.text_or(attribute, "").empty())
        element.fail(std::string(attribute) +
                     " is for mode=\"multicast\" only; remove it or change the mode");
  if (entry.mode != GroupMode::anycast && entry.prefer.bits > 0)
    element.fail("prefer is for mode=\"anycast\" only; remove it or change the mode");
}

BookEntry read_entry(const XmlElement& element) {
  BookEntry entry;
  entry.kind = kind_of(element);
  entry.place = element.place();
  switch (entry.kind) {
    case EntryKind::host:
      element.expect({"name", "key", "shortcuts", "anonymous", "middlebox", "stack"});
      break;
    case EntryKind::group:
      element.expect({"name", "key", "mode", "address", "prefer", "secret"});
      break;
    case EntryKind::gateway:
      element.expect({"name", "key", "middlebox", "stack"});
      break;
    case EntryKind::middlebox:
      element.expect({"name", "key"});
      break;
  }
  element.required("name");
  entry.name = *element.value("name", book_name);
  entry.key = element.required_key("key");
  if (entry.kind == EntryKind::host) {
    entry.shortcuts = element.yes_no_or("shortcuts", true);
    entry.anonymous = element.yes_no_or("anonymous", false);
  } else if (entry.kind == EntryKind::group) {
    read_group(element, entry);
  }
  if (entry.kind == EntryKind::host || entry.kind == EntryKind::gateway) {
    entry.middlebox = element.value("middlebox", domain_name).value_or("");
    entry.stack = element.value("stack", domain_name).value_or("");
  }
  return entry;
}

std::string_view without_final_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

}  // namespace

std::string_view name_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::host:
      return "host";
    case EntryKind::group:
      return "group";
    case EntryKind::gateway:
      return "gateway";
    case EntryKind::middlebox:
      return "middlebox";
  }
  return "host";
}

std::string_view name_of(GroupMode mode) {
  return mode == GroupMode::anycast ? "anycast" : "multicast";
}

AddressBook AddressBook::parse(std::string text, const std::string& file) {
  const auto document = XmlDocument::parse(std::move(text), file);
  const XmlElement root = document->root("address-book");
  root.expect({}, {"host*", "group*", "gateway*", "middlebox*"});
  AddressBook book;
  book.file_ = file;
  std::unordered_set<std::string> names;
  for (const XmlElement& element : root.children()) {
    BookEntry entry = read_entry(element);
    if (!names.insert(entry.name).second)
      element.fail_value("name", "is in this address book twice; remove or rename one of them");
    book.entries_.push_back(std::move(entry));
  }
  return book;
}

AddressBook AddressBook::load(const std::string& path) {
  return parse(read_config_file(path), path);
}

AddressBooks::AddressBooks(std::vector<AddressBook> books) : books_(std::move(books)) {
  for (const AddressBook& book : books_) {
    for (const BookEntry& entry : book.entries()) {
      if (!by_name_.emplace(entry.name, &entry).second) continue;
      visible_.push_back(&entry);
      by_key_.emplace(entry.key, &entry);
    }
  }
  for (const BookEntry* entry : visible_) {
    check_middlebox(*entry);
    check_stack(*entry);
  }
}

void AddressBooks::check_stack(const BookEntry& entry) const {
  if (entry.stack.empty()) return;
  const std::string what = "stack=" + quoted(entry.stack);
  const BookEntry* box = find(entry.stack);
  if (box == nullptr)
    entry.place.fail(what + " is in no address book; add it, or correct the name");
  if (box->key == entry.key)
    entry.place.fail(what + " is the host itself; nobody is reached through itself");
  if (box->kind == EntryKind::group)
    entry.place.fail(what + " is a group; a pass is made for one box");
  if (!entry.middlebox.empty())
    entry.place.fail(what + " and middlebox=" + quoted(entry.middlebox) +
                     " cannot both be on the way; remove one of them");
  if (entry.anonymous)
    entry.place.fail(what + " would know who visits; an anonymous visit has a relay of its own");
}

void AddressBooks::check_middlebox(const BookEntry& entry) const {
  if (entry.middlebox.empty()) return;
  const BookEntry* box = find(entry.middlebox);
  if (box == nullptr)
    entry.place.fail("middlebox=" + quoted(entry.middlebox) +
                     " is in no address book; add it, or correct the name");
  if (box->key == entry.key)
    entry.place.fail("middlebox=" + quoted(entry.middlebox) +
                     " is the host itself; nobody is reached through itself");
  if (box->kind == EntryKind::group && entry.anonymous)
    entry.place.fail("middlebox=" + quoted(entry.middlebox) +
                     " is a group; an anonymous visit goes through one middle-box, whose relay is "
                     "found in advance");
  if (box->kind == EntryKind::group && box->mode == GroupMode::multicast)
    entry.place.fail("middlebox=" + quoted(entry.middlebox) +
                     " is a multicast group; allowed are a middlebox, a host, an anycast group");
}

const BookEntry* AddressBooks::find(std::string_view name) const {
  const auto found = by_name_.find(lower_case(without_final_dot(name)));
  return found == by_name_.end() ? nullptr : found->second;
}

const BookEntry* AddressBooks::find(const PublicKey& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second;
}

std::optional<PublicKey> AddressBooks::key_of(std::string_view name_or_key) const {
  if (const BookEntry* entry = find(name_or_key)) return entry->key;
  return PublicKey::from_text(lower_case(without_final_dot(name_or_key)));
}

std::string AddressBooks::name_of(const PublicKey& key) const {
  const BookEntry* entry = find(key);
  return entry ? entry->name : key.text();
}

AddressBooks read_books(const XmlElement& root, const FileSource& source) {
  std::vector<AddressBook> books;
  for (const XmlElement& element : root.children("address-book")) {
    element.expect({"file"});
    element.required("file");
    const std::string path = element.path_or("file", "");
    for (const AddressBook& other : books)
      if (other.file() == path) element.fail_value("file", "is named twice; once is enough");
    std::string text;
    try {
      text = source(path);
    } catch (const ConfigError& error) {
      // The reader's complaint starts with its own place; what counts here is ours.
      const std::string_view what = error.what();
      const std::size_t at = what.find("cannot be read");
      element.fail("address book " + quoted(path) + ' ' +
                   std::string(at == std::string_view::npos ? what : what.substr(at)) +
                   "; make the file or remove this line");
    }
    books.push_back(AddressBook::parse(std::move(text), path));
  }
  return AddressBooks(std::move(books));
}

}  // namespace i3
