#include "overlay/base/xml.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <unistd.h>

namespace i3 {
namespace {

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string list_of(std::initializer_list<std::string_view> names) {
  std::string result;
  for (std::string_view name : names) {
    if (name.ends_with('*')) name.remove_suffix(1);
    if (!result.empty()) result += ", ";
    result += name;
  }
  return result;
}

// Editors need them to find the schema; they mean nothing to us.
bool names_schema(std::string_view attribute) {
  return attribute == "xmlns:xsi" || attribute == "xsi:noNamespaceSchemaLocation";
}

}  // namespace

std::string XmlPlace::text() const {
  return file + ':' + std::to_string(line) + ':' + std::to_string(column);
}

void XmlPlace::fail(std::string_view what) const {
  throw ConfigError(text() + ": " + std::string(what));
}

std::string read_config_file(const std::string& path) {
  const XmlPlace start{path, 1, 1};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) start.fail(std::string("cannot be read: ") + std::strerror(errno));
  std::string text;
  char buffer[65536];
  ssize_t size = 0;
  int error = 0;
  for (;;) {
    size = ::read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) error = errno;
    if (size <= 0 || text.size() > kMaximumConfigSize) break;
    text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(fd);
  if (error != 0) start.fail(std::string("cannot be read: ") + std::strerror(error));
  return text;
}

std::string path_named_in(const std::string& file, const std::string& path) {
  const std::filesystem::path named(path);
  if (named.is_absolute()) return path;
  return (std::filesystem::path(file).parent_path() / named).lexically_normal().string();
}

std::unique_ptr<XmlDocument> XmlDocument::parse(std::string text, std::string file) {
  std::unique_ptr<XmlDocument> document(new XmlDocument);
  document->file_ = std::move(file);
  document->text_ = std::move(text);
  const XmlPlace start{document->file_, 1, 1};
  if (document->text_.size() > kMaximumConfigSize) start.fail("is larger than 16 MB");
  if (const auto zero = document->text_.find('\0'); zero != std::string::npos)
    document->place_at(zero).fail("a zero byte; the file has to be text in UTF-8");
  const auto result = document->document_.load_buffer(
      document->text_.data(), document->text_.size(),
      pugi::parse_default | pugi::parse_doctype | pugi::parse_pi | pugi::parse_fragment,
      pugi::encoding_utf8);
  if (!result) {
    document->place_at(static_cast<std::size_t>(std::max<std::ptrdiff_t>(result.offset, 0)))
        .fail(std::string("not well-formed XML: ") + result.description());
  }
  document->check_structure();
  return document;
}

XmlPlace XmlDocument::place_at(std::size_t offset) const {
  offset = std::min(offset, text_.size());
  if (offset < counted_ || counted_ == 0) {
    counted_ = 0;
    counted_place_ = XmlPlace{file_, 1, 1};
  }
  for (; counted_ < offset; ++counted_) {
    const auto byte = static_cast<unsigned char>(text_[counted_]);
    if (byte == '\n') {
      ++counted_place_.line;
      counted_place_.column = 1;
    } else if ((byte & 0xc0) != 0x80) {
      ++counted_place_.column;  // continuation bytes of UTF-8 are no characters of their own
    }
  }
  return counted_place_;
}

void XmlDocument::refuse_text(const XmlElement& node, std::string_view value) const {
  if (blank(value)) return;
  value.remove_prefix(value.find_first_not_of(" \t\r\n"));
  value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
  const std::size_t start = text_.find_first_not_of(" \t\r\n", node.offset());
  place_at(start).fail("text " + quoted(value) +
                       " between elements; only elements and comments are allowed");
}

// Walks without recursion, so that depth is found before anything recurses into it.
void XmlDocument::check_structure() const {
  int depth = 0;
  std::size_t roots = 0;
  for (pugi::xml_node node = document_.first_child(); node;) {
    const XmlElement element(*this, node);
    switch (node.type()) {
      case pugi::node_element:
        if (depth == 0 && ++roots > 1) element.fail("a second root element; only one is allowed");
        if (depth == kMaximumConfigDepth) element.fail("nested too deeply; 16 levels are allowed");
        element.refuse_repeated_attributes();
        break;
      case pugi::node_doctype:
        element.fail("a document type (DTD) is refused; remove <!DOCTYPE ...>");
      case pugi::node_pi:
        element.fail("a processing instruction is refused; remove <?" + std::string(node.name()) +
                     " ...?>");
      default:
        refuse_text(element, node.value());
    }
    if (node.first_child()) {
      node = node.first_child();
      ++depth;
      continue;
    }
    while (node && !node.next_sibling()) {
      node = node.parent();
      --depth;
      if (!node || node == document_) break;
    }
    if (!node || node == document_) break;
    node = node.next_sibling();
  }
  if (roots == 0) XmlPlace{file_, 1, 1}.fail("no element; the file is empty");
}

std::string_view XmlDocument::root_name() const {
  return document_.document_element().name();
}

XmlElement XmlDocument::root(std::string_view expected) const {
  const XmlElement element(*this, document_.document_element());
  if (element.name() != expected)
    element.fail("the root element is <" + std::string(element.name()) + ">; <" +
                 std::string(expected) + "> is needed here");
  return element;
}

std::size_t XmlElement::offset() const {
  const std::ptrdiff_t offset = node_.offset_debug();
  if (offset < 0) return 0;
  std::size_t at = std::min(static_cast<std::size_t>(offset), document_->text().size());
  // pugixml gives the name's offset; the element starts at its '<'. Text starts where it says.
  const bool text = node_.type() == pugi::node_pcdata || node_.type() == pugi::node_cdata;
  while (!text && at > 0 && document_->text()[at] != '<') --at;
  return at;
}

XmlPlace XmlElement::place() const {
  return document_->place_at(offset());
}

void XmlElement::fail_value(const char* attribute, std::string_view problem) const {
  fail(std::string(attribute) + '=' + quoted(node_.attribute(attribute).value()) + ' ' +
       std::string(problem));
}

void XmlElement::refuse_repeated_attributes() const {
  std::set<std::string_view> seen;
  for (auto attribute : node_.attributes())
    if (!seen.insert(attribute.name()).second)
      fail("attribute " + std::string(attribute.name()) + " twice in <" + std::string(name()) +
           ">; once is allowed");
}

void XmlElement::expect(std::initializer_list<std::string_view> attributes,
                        std::initializer_list<std::string_view> children) const {
  const bool root = node_.parent().type() == pugi::node_document;
  for (auto attribute : node_.attributes()) {
    const std::string_view given = attribute.name();
    if (std::find(attributes.begin(), attributes.end(), given) != attributes.end()) continue;
    if (root && names_schema(given)) continue;
    fail("unknown attribute " + std::string(given) + " in <" + std::string(name()) + ">; " +
         (attributes.size() == 0 ? "it takes none" : "allowed are " + list_of(attributes)));
  }
  for (const XmlElement& inner : this->children()) {
    const std::string given(inner.name());
    if (std::find(children.begin(), children.end(), given + '*') != children.end()) continue;
    if (std::find(children.begin(), children.end(), given) == children.end())
      inner.fail("unknown element <" + given + "> in <" + std::string(name()) + ">; " +
                 (children.size() == 0 ? "it is to be empty" : "allowed are " + list_of(children)));
    if (node_.child(given.c_str()) != inner.node_)
      inner.fail("a second <" + given + "> in <" + std::string(name()) + ">; one is allowed");
  }
}

std::optional<XmlElement> XmlElement::child(const char* child_name) const {
  if (auto node = node_.child(child_name)) return XmlElement(*document_, node);
  return std::nullopt;
}

std::vector<XmlElement> XmlElement::children(const char* child_name) const {
  std::vector<XmlElement> result;
  for (auto node : node_.children(child_name)) result.emplace_back(*document_, node);
  return result;
}

std::vector<XmlElement> XmlElement::children() const {
  std::vector<XmlElement> result;
  for (auto node : node_.children())
    if (node.type() == pugi::node_element) result.emplace_back(*document_, node);
  return result;
}

std::optional<std::string> XmlElement::find(const char* attribute) const {
  if (auto found = node_.attribute(attribute)) return found.value();
  return std::nullopt;
}

std::string XmlElement::required(const char* attribute) const {
  auto text = find(attribute);
  if (!text) fail("<" + std::string(name()) + "> needs " + attribute + "=\"...\"");
  if (text->empty()) fail_value(attribute, "is empty; a value is needed");
  return *text;
}

std::string XmlElement::text_or(const char* attribute, std::string fallback) const {
  auto text = find(attribute);
  return text ? *text : fallback;
}

bool XmlElement::yes_no_or(const char* attribute, bool fallback) const {
  return one_of<bool>(attribute, {{"yes", true}, {"no", false}}, fallback);
}

std::uint64_t XmlElement::integer_or(const char* attribute, std::uint64_t least, std::uint64_t most,
                                     std::uint64_t fallback) const {
  const auto text = find(attribute);
  if (!text) return fallback;
  std::string why;
  const auto result = parse_integer(*text, least, most, why);
  if (!result) fail_value(attribute, why);
  return *result;
}

std::string XmlElement::path_or(const char* attribute, std::string_view fallback) const {
  const auto text = find(attribute);
  if (!text) return std::string(fallback);
  if (text->empty()) fail_value(attribute, "is empty; a file name is needed");
  if (blank(text->substr(0, 1)) || blank(text->substr(text->size() - 1)))
    fail_value(attribute, "starts or ends with a blank; write the file name alone");
  if (text->size() > 4000) fail_value(attribute, "is too long for a file name");
  return path_named_in(document_->file(), *text);
}

std::optional<Endpoint> XmlElement::endpoint(const char* attribute, bool zero_port,
                                             std::uint16_t default_port) const {
  return value(attribute, [=](std::string_view text, std::string& why) {
    return parse_endpoint(text, zero_port, default_port, why);
  });
}

Endpoint XmlElement::required_endpoint(const char* attribute, bool zero_port) const {
  required(attribute);
  return *endpoint(attribute, zero_port);
}

std::optional<PublicKey> XmlElement::key(const char* attribute) const {
  return value(attribute, parse_key);
}

PublicKey XmlElement::required_key(const char* attribute) const {
  required(attribute);
  return *key(attribute);
}

std::string XmlElement::required_domain(const char* attribute) const {
  required(attribute);
  return *value(attribute, domain_name);
}

}  // namespace i3
