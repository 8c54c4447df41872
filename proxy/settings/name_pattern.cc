#include "proxy/settings/name_pattern.hh"

#include <re2/re2.h>

namespace i3 {

std::optional<NamePattern> NamePattern::parse(std::string_view text, std::string& why) {
  if (text.size() > kMaximumText) {
    why = "is longer than 1024 characters";
    return std::nullopt;
  }
  RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  auto compiled = std::make_shared<const RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!compiled->ok()) {
    why = "is no regular expression (RE2 syntax): " + compiled->error();
    return std::nullopt;
  }
  return NamePattern(std::move(compiled));
}

bool NamePattern::matches(std::string_view name) const {
  return RE2::FullMatch(re2::StringPiece(name.data(), name.size()), *compiled_);
}

const std::string& NamePattern::text() const {
  return compiled_->pattern();
}

}  // namespace i3
