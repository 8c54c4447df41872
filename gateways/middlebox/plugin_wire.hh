// Owns the bytes between a middle-box and its plug-ins, which are programs on its unix socket
// (docs/middleboxes.md). Neither side trusts the other's.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "overlay/base/bytes.hh"

namespace i3 {

// Every message: | length of the rest 2 | type 1 | body |. Integers are big-endian.
inline constexpr std::size_t kMaxPluginMessage = 4096;

// Type 1, first and once, from the plug-in: | version 1 = 1 | judges 1 (0 or 1) | name, the rest |.
// One that judges is waited for; one that does not gets copies.
struct PluginHello {
  static constexpr std::size_t kMaxName = 32;
  bool judges = false;
  std::string name;  // letters, digits, hyphens
  bool operator==(const PluginHello&) const = default;
};
// Type 2, to the plug-in: | number 8 | time 8 (ns since 1970) | length 1, name of who sent it |
// length 1, name of whom it is for | IP packet |.
struct PluginPacket {
  std::uint64_t number = 0;
  std::uint64_t wall = 0;
  std::string from, to;
  Bytes packet;  // borrowed
};
// Type 3, from the plug-in: | number 8 | 0 let it pass, 1 drop it: 1 |.
struct PluginVerdict {
  std::uint64_t number = 0;
  bool drop = false;
  bool operator==(const PluginVerdict&) const = default;
};
// Type 4, from the plug-in: | 0 for the log, 1 an alert: 1 | text, 1 to 1000 bytes |.
struct PluginText {
  static constexpr std::size_t kMaxText = 1000;
  bool alert = false;
  std::string text;
  bool operator==(const PluginText&) const = default;
};
using PluginMessage = std::variant<PluginHello, PluginPacket, PluginVerdict, PluginText>;

// One message without its length; nothing unless it is exactly one.
std::optional<PluginMessage> parse_plugin_message(Bytes message);
// With its length in front; at most kMaxPluginMessage bytes.
std::vector<std::uint8_t> written(const PluginMessage& message);

// Cuts a stream of bytes into messages.
class PluginStream {
 public:
  // False when what came is no stream of messages: the connection is to be closed.
  bool add(Bytes bytes);
  std::optional<PluginMessage> next();  // borrows until the next call
  bool broken() const { return broken_; }

 private:
  std::vector<std::uint8_t> bytes_, message_;
  std::size_t read_ = 0;
  bool broken_ = false;
};

}  // namespace i3
