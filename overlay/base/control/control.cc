#include "overlay/base/control/control.hh"

namespace i3 {
namespace {

// Deeper nesting would make copying and printing the value recurse deeper.
bool nested_too_deeply(std::string_view line) {
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_text) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_text = false;
      }
    } else if (c == '"') {
      in_text = true;
    } else if ((c == '{' || c == '[') && ++depth > kMaximumControlNesting) {
      return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

const Json* argument(const Json& arguments, const char* name) {
  if (!arguments.is_object()) return nullptr;
  const auto found = arguments.find(name);
  return found == arguments.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

std::string text_argument(const Json& arguments, const char* name) {
  auto text = optional_text_argument(arguments, name);
  if (!text) throw ControlError(std::string("the argument ") + name + " is missing");
  return *text;
}

std::optional<std::string> optional_text_argument(const Json& arguments, const char* name) {
  const Json* value = argument(arguments, name);
  if (!value) return std::nullopt;
  if (!value->is_string())
    throw ControlError(std::string("the argument ") + name + " has to be text");
  return value->get<std::string>();
}

std::uint64_t integer_argument(const Json& arguments, const char* name, std::uint64_t least,
                               std::uint64_t most, std::uint64_t fallback) {
  const Json* value = argument(arguments, name);
  if (!value) return fallback;
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() < least ||
      value->get<std::uint64_t>() > most)
    throw ControlError(std::string("the argument ") + name + " has to be a whole number of " +
                       std::to_string(least) + " to " + std::to_string(most));
  return value->get<std::uint64_t>();
}

std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Json> from_line(std::string_view line) {
  if (nested_too_deeply(line)) return std::nullopt;
  Json value = Json::parse(line, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

}  // namespace i3
