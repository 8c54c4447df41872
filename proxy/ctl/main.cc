// Owns i3-ctl's command line and exit codes: 0 done, 1 failed (one line says why), 2 bad usage.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "overlay/base/key_file.hh"
#include "overlay/base/xml/node_settings.hh"
#include "proxy/ctl/asking.hh"
#include "proxy/settings/gateway_settings.hh"
#include "proxy/settings/proxy_settings.hh"

namespace {

using namespace i3;

// Any daemon's file, or an address book; ConfigError if it is wrong. Returns the control socket.
std::string check_file(const std::string& file) {
  const std::string root(XmlDocument::parse(read_config_file(file), file)->root_name());
  if (root == "i3-node") return load_node_settings(file).control.socket;
  if (root == "i3-gateway") return load_gateway_settings(file).control.socket;
  if (root == "address-book") {
    AddressBooks({AddressBook::load(file)});
    return "";
  }
  return load_proxy_settings(file).control.socket;
}

// One line: the daemon's and the system's reasons may not break it.
int fail(int code, const std::string& what) {
  std::cerr << "i3-ctl: " << what << '\n';
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Asks the i3 daemon on this machine, and gives it work.", "i3-ctl");
  Asking asking;
  std::string config;
  std::string level = "error";
  bool check = false;
  app.set_version_flag("--version", "i3-ctl " I3_VERSION);
  app.add_option("--socket", asking.socket, "Control socket of the daemon");
  app.add_flag("--json", asking.json, "Print one JSON object");
  app.add_option("--timeout", asking.timeout_s, "Seconds that the daemon may be silent (30)")
      ->check(CLI::Range(0.1, 86400.0));
  auto* config_option =
      app.add_option("--config", config, "Ask the daemon with this configuration");
  app.add_flag("--check-config", check, "Only check that configuration or address book")
      ->needs(config_option);
  app.add_option("--log-level", level, "debug shows the exchange with the daemon")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}));
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.parse_complete_callback([&] {
    asking.show_exchange = level == "debug";
    if (config.empty()) return;
    const std::string socket = check_file(config);
    if (asking.socket.empty()) asking.socket = socket;
  });
  add_status_commands(app, asking);
  add_overlay_commands(app, asking);
  add_book_commands(app, asking);
  add_group_commands(app, asking);
  add_record_commands(app, asking);

  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty() && !check)
      return fail(2, "a command is needed; i3-ctl --help lists them");
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return fail(2, std::string(error.what()) + "; see i3-ctl --help");
  } catch (const ConfigError& error) {
    std::cerr << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}
