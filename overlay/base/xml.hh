// Owns reading XML settings: a document with places for errors, and typed access to attributes.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <pugixml.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/xml/values.hh"

namespace i3 {

// The operator's mistake. what() is one line, "FILE:LINE:COLUMN: what is wrong, what is allowed";
// programs print it and end with exit code 2 (or keep the old settings on a reload).
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where something stands in a file; line and column count from 1, the column in characters.
struct XmlPlace {
  std::string file;
  std::size_t line = 1;
  std::size_t column = 1;

  std::string text() const;
  [[noreturn]] void fail(std::string_view what) const;  // throws ConfigError
};

// The whole text of a file, by its name; throws ConfigError. Loaders take one so that tests,
// fuzzers and an unprivileged worker can read from elsewhere than the disk.
using FileSource = std::function<std::string(const std::string& path)>;

inline constexpr std::size_t kMaximumConfigSize = std::size_t{16} << 20;
inline constexpr int kMaximumConfigDepth = 16;

// Reads from the disk; refuses more than kMaximumConfigSize bytes. ConfigError says why, at 1:1.
std::string read_config_file(const std::string& path);

// A relative `path` named in `file` means a path relative to the folder that `file` is in.
std::string path_named_in(const std::string& file, const std::string& path);

class XmlElement;

// A parsed file. XmlElements borrow it and must not outlive it.
class XmlDocument {
 public:
  // Throws ConfigError for what is not well-formed, DTDs, processing instructions, text between
  // elements, an attribute given twice, and nesting deeper than kMaximumConfigDepth.
  static std::unique_ptr<XmlDocument> parse(std::string text, std::string file);

  // The root; ConfigError if it has another name.
  XmlElement root(std::string_view expected) const;
  std::string_view root_name() const;
  const std::string& file() const { return file_; }
  const std::string& text() const { return text_; }
  XmlPlace place_at(std::size_t offset) const;  // not from two threads at once

 private:
  XmlDocument() = default;
  void check_structure() const;
  void refuse_text(const XmlElement& node, std::string_view value) const;

  std::string file_;
  std::string text_;
  pugi::xml_document document_;
  // Where place_at stopped: elements are mostly asked for in order, so a large file is counted
  // once.
  mutable std::size_t counted_ = 0;
  mutable XmlPlace counted_place_;
};

// One element. Every typed reader names the attribute, its value and what is allowed when it
// throws; the place is the element's.
class XmlElement {
 public:
  XmlElement(const XmlDocument& document, pugi::xml_node node)
      : document_(&document), node_(node) {}

  std::string_view name() const { return node_.name(); }
  XmlPlace place() const;
  std::size_t offset() const;  // of its '<' in the text
  [[noreturn]] void fail(std::string_view what) const { place().fail(what); }
  // "ATTRIBUTE="VALUE" PROBLEM"
  [[noreturn]] void fail_value(const char* attribute, std::string_view problem) const;

  // Refuses attributes and child elements outside the lists, and a second one of a child whose
  // name does not end in '*'.
  void expect(std::initializer_list<std::string_view> attributes,
              std::initializer_list<std::string_view> children = {}) const;
  void refuse_repeated_attributes() const;  // pugixml lets them pass

  std::optional<XmlElement> child(const char* child_name) const;
  std::vector<XmlElement> children(const char* child_name) const;
  std::vector<XmlElement> children() const;

  // Nothing for an absent attribute; an empty one is an empty string.
  std::optional<std::string> find(const char* attribute) const;
  std::string required(const char* attribute) const;
  std::string text_or(const char* attribute, std::string fallback) const;
  bool yes_no_or(const char* attribute, bool fallback) const;
  std::uint64_t integer_or(const char* attribute, std::uint64_t least, std::uint64_t most,
                           std::uint64_t fallback) const;
  // A file's name, relative ones resolved against this file's folder; blanks at the ends refused.
  std::string path_or(const char* attribute, std::string_view fallback) const;

  // ADDR:PORT; nothing for an absent or empty attribute. Port 0 only where `zero_port`.
  // Where default_port is not 0, an address alone means that port.
  std::optional<Endpoint> endpoint(const char* attribute, bool zero_port = false,
                                   std::uint16_t default_port = 0) const;
  Endpoint required_endpoint(const char* attribute, bool zero_port = false) const;
  // Nothing for an absent or empty attribute.
  std::optional<PublicKey> key(const char* attribute) const;
  PublicKey required_key(const char* attribute) const;
  // A name of an address book or a domain: see domain_name() in values.hh. Lower case.
  std::string required_domain(const char* attribute) const;

  // Any parser of values.hh: Value parse(string_view text, string& why); nothing when absent or
  // empty.
  template <class Parse>
  auto value(const char* attribute, Parse&& parse) const
      -> decltype(parse(std::string_view(), std::declval<std::string&>())) {
    auto text = find(attribute);
    if (!text || text->empty()) return {};
    std::string why;
    auto result = parse(std::string_view(*text), why);
    if (!result) fail_value(attribute, why);
    return result;
  }

  template <class Enum>
  struct Choice {
    std::string_view text;
    Enum value;
  };
  template <class Enum>
  Enum one_of(const char* attribute, std::initializer_list<Choice<Enum>> choices,
              Enum fallback) const {
    auto text = find(attribute);
    if (!text) return fallback;
    std::string allowed;
    for (const auto& choice : choices) {
      if (choice.text == *text) return choice.value;
      allowed += (allowed.empty() ? "" : ", ") + std::string(choice.text);
    }
    fail_value(attribute, "is unknown; allowed are " + allowed);
  }

 private:
  const XmlDocument* document_;
  pugi::xml_node node_;
};

}  // namespace i3
