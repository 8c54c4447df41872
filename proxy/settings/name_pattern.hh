// Owns regular expressions over names: RE2's syntax, whole name, letter case ignored.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace i3 {

// Compiled once; matching takes time linear in the name. Copies share the compiled form.
class NamePattern {
 public:
  static constexpr std::size_t kMaximumText = 1024;

  static std::optional<NamePattern> parse(std::string_view text, std::string& why);

  // `name` without a final dot.
  bool matches(std::string_view name) const;
  const std::string& text() const;

 private:
  explicit NamePattern(std::shared_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace i3
