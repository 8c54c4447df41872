// Owns what both ends of the control socket share: the JSON type, limits, errors, arguments.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

namespace i3 {

using Json = nlohmann::json;

// A request or the socket failed; what() is one line for people. Handlers may throw it: the client
// receives its text.
class ControlError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Another process answers at the socket already; programs end with exit code 1.
class ControlBusy : public ControlError {
 public:
  using ControlError::ControlError;
};

inline constexpr std::size_t kMaximumControlRequest = std::size_t{1} << 20;
inline constexpr std::size_t kMaximumControlConnections = 32;
inline constexpr int kMaximumControlNesting = 32;

// Arguments of a request; ControlError names the one that is missing or has another type.
std::string text_argument(const Json& arguments, const char* name);
std::optional<std::string> optional_text_argument(const Json& arguments, const char* name);
std::uint64_t integer_argument(const Json& arguments, const char* name, std::uint64_t least,
                               std::uint64_t most, std::uint64_t fallback);

// One line, invalid UTF-8 replaced; never throws for what is in `value`.
std::string to_line(const Json& value);
// Nothing for what is not JSON, or nested deeper than kMaximumControlNesting.
std::optional<Json> from_line(std::string_view line);

}  // namespace i3
