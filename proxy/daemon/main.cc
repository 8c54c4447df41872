// i3-proxy: the per-host daemon. The process that is started is the parent and stays; it runs
// itself again with --worker as the process that does the work (docs/privileges.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <sys/stat.h>

#include "overlay/base/key_file.hh"
#include "proxy/daemon/parent_request.hh"
#include "proxy/daemon/version.hh"
#include "proxy/daemon/worker.hh"
#include "proxy/platform/host_files.hh"
#include "proxy/platform/parent.hh"
#include "proxy/platform/platform_error.hh"
#include "proxy/platform/privileges.hh"

namespace i3 {
namespace {

constexpr char kDefaultConfig[] = "/etc/i3/proxy.xml";
constexpr char kFirstConfig[] = R"(<i3-proxy>
  <!-- Written at the first start. Every element has a default: docs/configuration.md -->
  <address-book file="book.xml"/>
  <inbound>
    <!-- Nobody is let in without a line here: <allow from="alice" protocol="tcp" ports="22"/> -->
  </inbound>
</i3-proxy>
)";
constexpr char kFirstBook[] = "<address-book>\n</address-book>\n";

struct Options {
  std::string config = kDefaultConfig;
  std::string level = "info";
  std::string pool;
  int worker = -1;
  bool check = false, cleanup = false, config_given = false;
};

void fail(const std::string& line) {
  std::fprintf(stderr, "i3-proxy: %s\n", line.c_str());
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

// The first start without any configuration: works at once, and leaves files to edit.
void write_first_config(const Options& options) {
  if (options.config_given || exists(options.config)) return;
  make_folder_of(options.config);
  const std::string book = path_named_in(options.config, "book.xml");
  if (!exists(book)) replace_file(book, kFirstBook);
  if (std::string why = replace_file(options.config, kFirstConfig); !why.empty())
    throw PlatformError(options.config + " cannot be written: " + why);
}

int run_worker(const Options& options, Log& log) {
  std::string why;
  auto pool = IpPrefix::parse(options.pool, why);
  if (!pool) throw PlatformError(why);
  Worker worker(options.worker, options.config, *pool, log);
  worker.run();
  return 0;
}

int run_parent(const Options& options, Log& log) {
  if (!has_capability("CAP_NET_ADMIN"))
    throw lacks_privilege("CAP_NET_ADMIN", "make the network interface");
  write_first_config(options);
  const ProxySettings settings = load_proxy_settings(options.config);
  SystemRandom random;
  const auto identity = load_or_create_key(settings.identity_file, random);
  const IpPrefix pool = choose_pool(settings);
  std::vector<std::string> arguments{"i3-proxy",    "--config", options.config, "--log-level",
                                     options.level, "--pool",   pool.text()};
  Parent parent(parent_request(settings, options.config, pool, identity->seed()),
                std::move(arguments), log);
  return parent.run();
}

int run(const Options& options, Log& log) {
  if (options.worker >= 0) return run_worker(options, log);
  if (options.check) {
    load_proxy_settings(options.config);
    return 0;
  }
  if (options.cleanup) {
    std::string socket = "/run/i3/proxy.sock";
    if (exists(options.config)) socket = load_proxy_settings(options.config).control.socket;
    return clean_up_leftovers(socket, "/etc/resolv.conf", log) ? 0 : 1;
  }
  return run_parent(options, log);
}

}  // namespace
}  // namespace i3

int main(int argc, char** argv) {
  i3::Options options;
  CLI::App app{"Lets every program on this machine reach named machines over an i3 overlay."};
  app.set_version_flag("--version", std::string("i3-proxy ") + i3::kVersionText);
  auto* config = app.add_option("--config", options.config, "XML settings")->capture_default_str();
  app.add_flag("--check-config", options.check, "Only say whether the settings are right");
  app.add_flag("--cleanup", options.cleanup, "Remove what a killed i3-proxy may have left");
  app.add_option("--log-level", options.level, "error, warning, info or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}));
  app.add_option("--worker", options.worker)->group("");
  app.add_option("--pool", options.pool)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.config_given = config->count() > 0;
  i3::Log log = i3::standard_error_log(*i3::log_level_from(options.level), "i3-proxy");
  try {
    return i3::run(options, log);
  } catch (const i3::ConfigError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const i3::KeyFileError& error) {
    i3::fail(error.what());
    return 2;
  } catch (const i3::PlatformError& error) {
    i3::fail(error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    i3::fail(error.what());
    return 1;
  }
}
