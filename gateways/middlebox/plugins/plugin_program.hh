// Owns what the plug-ins that come with the middle-box have in common: the connection, and its
// loop.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "gateways/middlebox/plugin_wire.hh"

namespace i3::inspect {

struct PluginProgram {
  std::string name;
  bool judges = false;
  // A packet; false: it may not pass. What a plug-in that does not judge says is not looked at.
  std::function<bool(const PluginPacket& packet)> packet;
};

// Texts to send before the verdict that they belong to.
class Sayings {
 public:
  void log(const std::string& text) { say(text, false); }
  void alert(const std::string& text) { say(text, true); }
  std::vector<std::uint8_t> take() { return std::exchange(bytes_, {}); }

 private:
  void say(const std::string& text, bool alert);
  std::vector<std::uint8_t> bytes_;
};

// Until SIGTERM: connects to the middle-box, and again when it was restarted. Returns an exit code.
int run_plugin(const PluginProgram& program, const std::string& socket, Sayings& sayings);

}  // namespace i3::inspect
