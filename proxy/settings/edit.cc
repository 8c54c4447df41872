#include "proxy/settings/edit.hh"

#include <algorithm>

#include "proxy/settings/address_book.hh"
#include "proxy/settings/allow.hh"

namespace i3 {
namespace {

// Where an element's tags are in a text that was parsed without complaint.
struct Span {
  std::size_t start = 0;     // its '<'
  std::size_t open_end = 0;  // behind the '>' of its first tag
  std::size_t close = 0;     // the '<' of its last tag; open_end where it is self-closed
  std::size_t end = 0;       // behind its last '>'
  bool self_closed = false;
};

[[noreturn]] void fail_layout() {
  throw EditError("the file is written in a way that cannot be edited; edit it by hand and reload");
}

// Behind the '>' of the tag at `at`; quoted values may hold a '>'.
std::size_t tag_end(std::string_view text, std::size_t at) {
  char quote = 0;
  for (; at < text.size(); ++at) {
    if (quote != 0) {
      if (text[at] == quote) quote = 0;
    } else if (text[at] == '"' || text[at] == '\'') {
      quote = text[at];
    } else if (text[at] == '>') {
      return at + 1;
    }
  }
  fail_layout();
}

std::size_t behind(std::string_view text, std::size_t at, std::string_view mark) {
  const std::size_t found = text.find(mark, at);
  if (found == std::string_view::npos) fail_layout();
  return found + mark.size();
}

Span span_of(std::string_view text, std::size_t start) {
  Span span{start, tag_end(text, start), 0, 0, false};
  if (text[span.open_end - 2] == '/') {
    span.close = span.end = span.open_end;
    span.self_closed = true;
    return span;
  }
  int depth = 1;
  for (std::size_t at = span.open_end; (at = text.find('<', at)) != std::string_view::npos;) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("<!--")) {
      at = behind(text, at, "-->");
    } else if (rest.starts_with("<![CDATA[")) {
      at = behind(text, at, "]]>");
    } else if (rest.starts_with("</")) {
      span.close = at;
      at = tag_end(text, at);
      if (--depth == 0) {
        span.end = at;
        return span;
      }
    } else {
      at = tag_end(text, at);
      if (text[at - 2] != '/') ++depth;
    }
  }
  fail_layout();
}

std::size_t line_start(std::string_view text, std::size_t at) {
  const std::size_t newline = text.substr(0, at).rfind('\n');
  return newline == std::string_view::npos ? 0 : newline + 1;
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string indentation_at(std::string_view text, std::size_t at) {
  const std::string_view line = text.substr(line_start(text, at), at - line_start(text, at));
  return std::string(line.substr(0, line.find_first_not_of(" \t")));
}

std::string newline_of(std::string_view text) {
  const std::size_t newline = text.find('\n');
  const bool dos = newline != std::string_view::npos && newline > 0 && text[newline - 1] == '\r';
  return dos ? "\r\n" : "\n";
}

// `inner` as the last child of `parent`, indented as its other children are.
std::string with_child(const std::string& text, const XmlElement& parent,
                       const std::string& inner) {
  const Span span = span_of(text, parent.offset());
  const std::string newline = newline_of(text);
  const std::string outer_indent = indentation_at(text, span.start);
  std::string indent = outer_indent + "  ";
  for (const XmlElement& other : parent.children())
    if (blank(std::string_view(text).substr(line_start(text, other.offset()),
                                            other.offset() - line_start(text, other.offset()))))
      indent = indentation_at(text, other.offset());
  std::string result = text;
  if (span.self_closed) {
    std::string tag = text.substr(span.start, span.open_end - span.start - 2);
    while (tag.ends_with(' ')) tag.pop_back();
    return result.replace(span.start, span.end - span.start,
                          tag + '>' + newline + indent + inner + newline + outer_indent + "</" +
                              std::string(parent.name()) + '>');
  }
  const std::size_t start = line_start(text, span.close);
  if (start > span.start && blank(std::string_view(text).substr(start, span.close - start)))
    return result.insert(start, indent + inner + newline);
  return result.insert(span.close, newline + indent + inner + newline + outer_indent);
}

// Without the element, and without its line if nothing but a comment stands there besides.
std::string without(const std::string& text, const XmlElement& element) {
  const Span span = span_of(text, element.offset());
  const std::size_t start = line_start(text, span.start);
  std::size_t line_end = text.find('\n', span.end);
  line_end = line_end == std::string::npos ? text.size() : line_end + 1;
  std::string_view after = std::string_view(text).substr(span.end, line_end - span.end);
  if (const std::size_t first = after.find_first_not_of(" \t");
      first != std::string_view::npos && after.substr(first).starts_with("<!--")) {
    const std::size_t end = after.find("-->");
    after = end == std::string_view::npos ? after : after.substr(end + 3);
  }
  std::string result = text;
  const bool alone =
      blank(after) && blank(std::string_view(text).substr(start, span.start - start));
  return alone ? result.erase(start, line_end - start)
               : result.erase(span.start, span.end - span.start);
}

// Sets an attribute that is absent or empty.
std::string with_attribute(const std::string& text, const XmlElement& element,
                           const char* attribute, const std::string& value) {
  const Span span = span_of(text, element.offset());
  std::string result = text;
  if (!element.find(attribute))
    return result.insert(span.start + 1 + element.name().size(),
                         std::string(" ") + attribute + "=\"" + value + '"');
  for (const char* quotes : {"=\"\"", "=''"}) {
    const std::size_t at = text.find(attribute + std::string(quotes), span.start);
    if (at != std::string::npos && at < span.open_end)
      return result.insert(at + std::string_view(attribute).size() + 2, value);
  }
  fail_layout();
}

std::string entry_text(const BookEntry& entry) {
  std::string text = '<' + std::string(name_of(entry.kind)) + " name=\"" + entry.name +
                     "\" key=\"" + entry.key.text() + '"';
  if (!entry.shortcuts) text += " shortcuts=\"no\"";
  if (entry.anonymous) text += " anonymous=\"yes\"";
  if (!entry.middlebox.empty()) text += " middlebox=\"" + entry.middlebox + '"';
  if (!entry.stack.empty()) text += " stack=\"" + entry.stack + '"';
  if (entry.kind == EntryKind::group)
    text += entry.mode == GroupMode::multicast ? " mode=\"multicast\"" : " mode=\"anycast\"";
  if (entry.prefer.bits > 0)
    text += " prefer=\"" + suffix_text(entry.prefer.suffix, entry.prefer.bits) + '"';
  if (entry.secret) text += " secret=\"" + base32(*entry.secret) + '"';
  if (entry.address) text += " address=\"" + entry.address->text() + '"';
  return text + "/>";
}

const BookEntry* find(const AddressBook& book, const std::string& name) {
  for (const BookEntry& entry : book.entries())
    if (entry.name == name) return &entry;
  return nullptr;
}

std::string checked_name(std::string_view name) {
  std::string why;
  const auto checked = book_name(name, why);
  if (!checked) throw EditError("name " + quoted(name) + ' ' + why);
  return *checked;
}

// True if the entry is there already; EditError if its name means another key.
bool already_there(const AddressBook& book, const std::string& name, const PublicKey& key) {
  const BookEntry* entry = find(book, name);
  if (entry && entry->key != key)
    throw EditError("the name " + name + " is in " + book.file() +
                    " with another key; remove it first");
  return entry != nullptr;
}

std::string with_entry(const std::string& text, const std::string& file, const std::string& entry) {
  const auto document = XmlDocument::parse(text, file);
  std::string result = with_child(text, document->root("address-book"), entry);
  AddressBook::parse(result, file);
  return result;
}

// The child of the proxy's root, made first where it is missing.
std::string with_section(const std::string& text, const std::string& file, const char* section) {
  const auto document = XmlDocument::parse(text, file);
  const XmlElement root = document->root("i3-proxy");
  if (root.child(section)) return text;
  return with_child(text, root, std::string("<") + section + "/>");
}

// The layout was understood only if the new text reads, as XML, as one change more.
std::string checked(std::string text, const std::string& file) {
  XmlDocument::parse(text, file)->root("i3-proxy");
  return text;
}

}  // namespace

std::string book_with_added(const std::string& text, const std::string& file, std::string_view name,
                            const PublicKey& key) {
  const AddressBook book = AddressBook::parse(text, file);
  const std::string plain = checked_name(name);
  if (already_there(book, plain, key)) return text;
  BookEntry entry;
  entry.name = plain;
  entry.key = key;
  return with_entry(text, file, entry_text(entry));
}

std::string book_without(const std::string& text, const std::string& file, std::string_view name) {
  AddressBook::parse(text, file);
  const auto document = XmlDocument::parse(text, file);
  const std::string plain = lower_case(name);
  for (const XmlElement& element : document->root("address-book").children()) {
    if (lower_case(element.required("name")) != plain) continue;
    std::string result = without(text, element);
    AddressBook::parse(result, file);
    return result;
  }
  throw EditError("no name " + quoted(name) + " in " + file);
}

std::string book_with_key(const std::string& text, const std::string& file, std::string_view name,
                          const PublicKey& before, const PublicKey& after) {
  AddressBook::parse(text, file);
  const auto document = XmlDocument::parse(text, file);
  const std::string plain = lower_case(name);
  for (const XmlElement& element : document->root("address-book").children()) {
    if (lower_case(element.required("name")) != plain || element.key("key") != before) continue;
    const Span span = span_of(text, element.offset());
    const std::size_t at = text.find(before.text(), span.start);
    if (at == std::string::npos || at >= span.open_end) fail_layout();
    std::string result = text;
    result.replace(at, PublicKey::kTextSize, after.text());
    AddressBook::parse(result, file);
    return result;
  }
  throw EditError("no name " + quoted(name) + " with that key in " + file);
}

BookImport book_with_imported(const std::string& text, const std::string& file,
                              const std::string& other_text, const std::string& other_file) {
  const AddressBook book = AddressBook::parse(text, file);
  const AddressBook other = AddressBook::parse(other_text, other_file);
  BookImport result{text, {}, {}};
  for (const BookEntry& entry : other.entries()) {
    const bool there = already_there(book, entry.name, entry.key);
    (there ? result.skipped : result.added).push_back(entry.name);
  }
  // One insertion for all, so that a large book is parsed twice and not once for each entry.
  std::string inner;
  for (const BookEntry& entry : other.entries()) {
    if (find(book, entry.name)) continue;
    inner += (inner.empty() ? "" : newline_of(text) + "  ") + entry_text(entry);
  }
  if (!inner.empty()) result.text = with_entry(text, file, inner);
  return result;
}

std::string empty_book() {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<address-book>\n</address-book>\n";
}

std::string config_with_allow(const std::string& text, const std::string& file,
                              std::string_view from, std::string_view protocol,
                              std::string_view ports) {
  std::string why;
  const bool key = PublicKey::from_text(from).has_value();
  const std::string party = from == "*" || key ? std::string(from) : checked_name(from);
  if (!protocol.empty() && !parse_protocols(protocol, why))
    throw EditError("protocol " + quoted(protocol) + ' ' + why);
  if (!ports.empty() && !parse_ports(ports, why))
    throw EditError("ports " + quoted(ports) + ' ' + why);
  if (!ports.empty() && protocol == "icmp")
    throw EditError("ports have no meaning for the protocol icmp; leave them out");

  std::string rule = "<allow from=\"" + party + '"';
  if (!protocol.empty()) rule += " protocol=\"" + std::string(protocol) + '"';
  if (!ports.empty()) rule += " ports=\"" + std::string(ports) + '"';
  const std::string prepared = with_section(text, file, "inbound");
  const auto document = XmlDocument::parse(prepared, file);
  const XmlElement inbound = *document->root("i3-proxy").child("inbound");
  for (const XmlElement& allow : inbound.children("allow"))
    if (lower_case(allow.text_or("from", "")) == party &&
        allow.text_or("protocol", "") == protocol && allow.text_or("ports", "") == ports)
      return text;
  return checked(with_child(prepared, inbound, rule + "/>"), file);
}

std::string config_with_node(const std::string& text, const std::string& file,
                             const EntryNode& node) {
  const std::string prepared = with_section(text, file, "overlay");
  const auto document = XmlDocument::parse(prepared, file);
  const XmlElement overlay = *document->root("i3-proxy").child("overlay");
  for (const XmlElement& other : overlay.children("node")) {
    if (other.required_endpoint("address") != node.address) continue;
    const auto key = other.key("key");
    if (!node.key || key == node.key) return text;
    if (!key) return checked(with_attribute(prepared, other, "key", node.key->text()), file);
    throw EditError("the node " + node.address.text() + " is in " + file +
                    " with another key; remove it first");
  }
  std::string inner = "<node address=\"" + node.address.text() + '"';
  if (node.key) inner += " key=\"" + node.key->text() + '"';
  return checked(with_child(prepared, overlay, inner + "/>"), file);
}

std::string config_with_own_node(const std::string& text, const std::string& file) {
  const std::string prepared = with_section(text, file, "overlay");
  const auto document = XmlDocument::parse(prepared, file);
  const XmlElement overlay = *document->root("i3-proxy").child("overlay");
  if (overlay.find("own-node")) return text;
  return checked(with_attribute(prepared, overlay, "own-node", "yes"), file);
}

std::string config_with_operator_key(const std::string& text, const std::string& file,
                                     const PublicKey& key) {
  const std::string prepared = with_section(text, file, "overlay");
  const auto document = XmlDocument::parse(prepared, file);
  const XmlElement overlay = *document->root("i3-proxy").child("overlay");
  const auto present = overlay.key("operator-key");
  if (present == key) return text;
  if (present)
    throw EditError(file +
                    " names another ring's operator-key; a host is in one ring, remove that first");
  return checked(with_attribute(prepared, overlay, "operator-key", key.text()), file);
}

}  // namespace i3
