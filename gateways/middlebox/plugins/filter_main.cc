// i3-inspect-filter: a plug-in that lets nothing pass a middle-box in which one of its signatures
// is found.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "gateways/middlebox/plugins/plugin_program.hh"
#include "gateways/middlebox/plugins/protocol_log.hh"
#include "gateways/middlebox/plugins/signatures.hh"

int main(int argc, char** argv) {
  using namespace i3;
  std::string socket = "/run/i3/inspect.sock", file = "/etc/i3/signatures";
  CLI::App app("Drops what matches a list of signatures, in streams put together again.");
  app.add_option("--socket", socket, "The middle-box's socket for plug-ins")->capture_default_str();
  app.add_option("--signatures", file, "Lines NAME drop|alert tcp|udp PORT|* \"PATTERN\"")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::ifstream input(file);
  std::ostringstream text;
  text << input.rdbuf();
  std::string why = "1: cannot be read";
  const auto signatures = input ? inspect::parse_signatures(text.str(), why) : std::nullopt;
  if (!signatures) {
    std::fprintf(stderr, "%s:%s\n", file.c_str(), why.c_str());
    return 2;
  }
  inspect::Sayings sayings;
  std::string from, to;
  inspect::SignatureFilter filter(
      *signatures, [&](const inspect::Signature& signature, const inspect::Ends& ends) {
        const std::string line = signature.name + (signature.drops ? " dropped: " : " seen: ") +
                                 ends.client.text() + '/' + std::to_string(ends.client_port) +
                                 " > " + ends.server.text() + '/' +
                                 std::to_string(ends.server_port) + " (" + from + " > " + to + ')';
        std::printf("%s\n", line.c_str());
        sayings.alert(line);
      });
  inspect::PluginProgram program;
  program.name = "filter";
  program.judges = true;
  program.packet = [&](const PluginPacket& packet) {
    from = packet.from;
    to = packet.to;
    return filter.packet(packet.packet, packet.wall);
  };
  return inspect::run_plugin(program, socket, sayings);
}
