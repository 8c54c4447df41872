#include "proxy/daemon/program.hh"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <unistd.h>

#include "overlay/base/key_file.hh"
#include "proxy/daemon/version.hh"
#include "proxy/daemon/worker.hh"
#include "proxy/platform/parent.hh"
#include "proxy/platform/platform_error.hh"
#include "proxy/platform/privileges.hh"

namespace i3 {
namespace {

struct Options {
  std::string config;
  std::string level = "info";
  std::string pool, pool6;
  int worker = -1;
  bool check = false, cleanup = false, config_given = false;
};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

ProxySettings load(const Program& program, const std::string& config) {
  return program.read_settings(read_config_file(config), config, read_config_file);
}

int run_worker(const Program& program, const Options& options, Log& log) {
  std::string why;
  const auto pool = IpPrefix::parse(options.pool, why);
  const auto pool6 = IpPrefix::parse(options.pool6, why);
  if (!pool || !pool6) throw PlatformError(why);
  Worker worker(options.worker, options.config, {*pool, *pool6}, log,
                program.make_extension ? program.make_extension() : nullptr);
  worker.run();
  return 0;
}

int run_parent(const Program& program, const Options& options, Log& log) {
  if (!has_capability("CAP_NET_ADMIN"))
    throw lacks_privilege("CAP_NET_ADMIN", "make the network interface");
  if (program.write_first_config && !options.config_given && !exists(options.config))
    program.write_first_config(options.config);
  const ProxySettings settings = load(program, options.config);
  SystemRandom random;
  const auto identity = load_or_create_key(settings.identity_file, random);
  const VirtualNetworks networks = choose_networks(settings);
  PlatformRequest request =
      parent_request(settings, options.config, networks, identity->seed(), program.read_settings);
  request.program = program.name;
  if (program.add_request) program.add_request(options.config, request);
  std::vector<std::string> arguments{program.name,         "--config",    options.config,
                                     "--log-level",        options.level, "--pool",
                                     networks.ipv4.text(), "--pool6",     networks.ipv6.text()};
  Parent parent(std::move(request), std::move(arguments), log);
  return parent.run();
}

int run(const Program& program, const Options& options, Log& log) {
  if (options.worker >= 0) return run_worker(program, options, log);
  if (options.check) {
    load(program, options.config);
    return 0;
  }
  if (options.cleanup) {
    const std::string socket = exists(options.config) ? load(program, options.config).control.socket
                                                      : program.default_socket;
    bool clean = clean_up_leftovers(socket, "/etc/resolv.conf", log);
    if (clean && program.clean_up) clean = program.clean_up(socket, log);
    return clean ? 0 : 1;
  }
  return run_parent(program, options, log);
}

}  // namespace

int run_program(const Program& program, int argc, char** argv) {
  Options options;
  options.config = program.default_config;
  CLI::App app{program.summary};
  app.set_version_flag("--version", program.name + ' ' + kVersionText);
  auto* config = app.add_option("--config", options.config, "XML settings")->capture_default_str();
  app.add_flag("--check-config", options.check, "Only say whether the settings are right");
  app.add_flag("--cleanup", options.cleanup,
               "Remove what a killed " + program.name + " may have left");
  app.add_option("--log-level", options.level, "error, warning, info or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}));
  app.add_option("--worker", options.worker)->group("");
  app.add_option("--pool", options.pool)->group("");
  app.add_option("--pool6", options.pool6)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.config_given = config->count() > 0;
  Log log = standard_error_log(*log_level_from(options.level), program.name);
  const auto fail = [&](const char* line, int code) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), line);
    return code;
  };
  try {
    return run(program, options, log);
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const KeyFileError& error) {
    return fail(error.what(), 2);
  } catch (const PlatformError& error) {
    return fail(error.what(), error.exit_code());
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  }
}

}  // namespace i3
