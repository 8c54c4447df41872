// i3-inspect-log: a plug-in that writes down what is said over HTTP and FTP through a middle-box.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "gateways/middlebox/plugins/plugin_program.hh"
#include "gateways/middlebox/plugins/protocol_log.hh"

int main(int argc, char** argv) {
  using namespace i3;
  std::string socket = "/run/i3/inspect.sock";
  CLI::App app("Prints HTTP requests and FTP commands of the conversations through a middle-box.");
  app.add_option("--socket", socket, "The middle-box's socket for plug-ins")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  inspect::Sayings sayings;
  inspect::ProtocolLog log([&](const std::string& line) {
    std::printf("%s\n", line.c_str());
    sayings.log(line);
  });
  inspect::PluginProgram program;
  program.name = "log";
  program.packet = [&](const PluginPacket& packet) {
    const auto view = IpView::parse(packet.packet);
    if (view && view->is_tcp() && !view->is_fragment()) log.packet(*view, packet.wall);
    return true;
  };
  return inspect::run_plugin(program, socket, sayings);
}
