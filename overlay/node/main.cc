// Owns the program i3-node: options, settings, signals, exit codes.
#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <iostream>
#include <sys/resource.h>
#include <unistd.h>

#include "overlay/base/control/metrics_server.hh"
#include "overlay/base/key_file.hh"
#include "overlay/node/kernel/kernel_relay.hh"
#include "overlay/node/node_control.hh"
#include "overlay/node/node_settings.hh"
#include "overlay/node/tls_server.hh"

namespace i3 {
namespace {

enum Exit { kFine = 0, kFailed = 1, kUsage = 2, kPrivilege = 3 };
constexpr std::chrono::milliseconds kLeaveFor{300};

struct Arguments {
  std::string config;
  bool check_config = false;
  NodeOptions node;
  std::string log_level = "info";
  std::string issue_membership, operator_key_file;
  unsigned days = 365;
};

NodeSettings load(const Arguments& arguments) {
  return arguments.config.empty() ? node_settings_from(arguments.node)
                                  : load_node_settings(arguments.config);
}

std::vector<OwnedFd> bind_all(const NodeSettings& settings) {
  const bool any_v4 = std::any_of(settings.listen.begin(), settings.listen.end(),
                                  [](const NodeListen& l) { return l.address.address.is_v4(); });
  std::vector<OwnedFd> sockets;
  for (const NodeListen& listen : settings.listen)
    sockets.push_back(UdpSocket::bind(listen.address, !any_v4));
  return sockets;
}

std::vector<OwnedFd> bind_tls(const NodeSettings& settings) {
  const bool any_v4 =
      std::any_of(settings.listen.begin(), settings.listen.end(),
                  [](const NodeListen& l) { return l.tls && l.tls->address.is_v4(); });
  std::vector<OwnedFd> sockets;
  for (const NodeListen& listen : settings.listen)
    if (listen.tls) sockets.push_back(TlsServer::listen(*listen.tls, !any_v4));
  if (sockets.empty()) return sockets;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur =
      std::max<rlim_t>(files.rlim_cur, std::min<rlim_t>(files.rlim_max, TlsServer::kDescriptors));
  ::setrlimit(RLIMIT_NOFILE, &files);
  return sockets;
}

void log_warnings(const NodeSettings& settings, Log& log) {
  for (const std::string& warning : settings.warnings) log.warning("setting", {{"text", warning}});
}

XdpOn xdp_of(RelayXdp setting) {
  if (setting == RelayXdp::off) return XdpOn::none;
  return setting == RelayXdp::on ? XdpOn::every : XdpOn::devices;
}

std::string one_line(const std::vector<std::string>& parts, const char* between) {
  std::string line;
  for (const std::string& part : parts) line += (line.empty() ? "" : between) + part;
  return line;
}

// One daemon from its settings to its end.
class Node {
 public:
  Node(const Arguments& arguments, NodeSettings settings, Log& log)
      : arguments_(arguments),
        settings_(std::move(settings)),
        log_(log),
        identity_(load_or_create_key(settings_.identity_file, random_)),
        control_(context_, log),
        signals_(context_, SIGTERM, SIGINT, SIGHUP),
        leaving_(context_) {}

  void run() {
    log_warnings(settings_, log_);
    NodeCoreSettings core = core_settings(settings_);
    core.is_local = is_local_address;
    if (core.operator_key && !core.membership)
      throw ConfigError(settings_.identity_file +
                        ".membership: is missing; this ring has an operator, who makes it with "
                        "i3-node --issue-membership " +
                        identity_->key().text());
    control_.listen(settings_.control.socket, settings_.control.group);
    listen_where_free();
    std::string problem;
    std::vector<OwnedFd> sockets = bind_all(settings_);
    std::vector<OwnedFd> tls = bind_tls(settings_);
    OwnedFd metrics;
    if (settings_.metrics) metrics = TlsServer::listen(*settings_.metrics, false, "metrics");
    const auto operator_key = core.operator_key;
    core.contact.k = next_place(settings_.state.file, problem);
    say(problem);
    driver_ = std::make_unique<NodeDriver>(context_, std::move(core), std::move(sockets),
                                           *identity_, random_, clock_, log_);
    use_kernel_relay();
    driver_->on_place = [this](std::uint8_t k) {
      std::string trouble;
      save_place(settings_.state.file, k, trouble);
      say(trouble);
    };
    add_node_commands(control_, *driver_, clock_.now());
    control_.handle("reload", [this](const Json&, ControlReply reply) { reply.ok(reload()); });
    for (const Endpoint& endpoint : driver_->listening())
      log_.info("listening", {{"address", endpoint.text()}, {"key", identity_->key().text()}});
    driver_->start();
    if (!tls.empty()) {
      tls_ = std::make_unique<TlsServer>(context_, *driver_, std::move(tls), *identity_,
                                         operator_key, random_, clock_, log_);
      for (const Endpoint& endpoint : tls_->listening())
        log_.info("listening", {{"address", endpoint.text()}, {"for", "TLS"}});
    }
    if (metrics) {
      log_.info("listening", {{"address", settings_.metrics->text()}, {"for", "metrics"}});
      metrics_ = std::make_unique<MetricsServer>(context_, std::move(metrics),
                                                 settings_.metrics->address.is_v4(),
                                                 [this] { return metrics_text(*driver_); });
    }
    wait_for_signal();
    context_.run();
  }

 private:
  // Asked for, it must work; else it is taken where the kernel has it.
  void use_kernel_relay() {
    if (settings_.relay_kernel == RelayKernel::off) return;
    try {
      auto relay = std::make_unique<KernelRelay>(xdp_of(settings_.relay_xdp));
      log_.info("kernel-relay", {{"interfaces", one_line(relay->interfaces(), " ")}});
      if (const auto names = relay->xdp_interfaces(); !names.empty())
        log_.info("kernel-relay-at-xdp", {{"interfaces", one_line(names, " ")}});
      if (const auto& refusals = relay->xdp_refusals(); !refusals.empty())
        log_.info("no-xdp", {{"reason", one_line(refusals, "; ")}});
      driver_->use(std::move(relay));
    } catch (const KernelRelayError& error) {
      if (settings_.relay_kernel == RelayKernel::on)
        throw ConfigError(std::string("<relay kernel=\"on\">: ") + error.what());
      log_.info("no-kernel-relay", {{"reason", error.what()}});
    }
  }

  void listen_where_free() {
    if (settings_.control.socket_if_free.empty()) return;
    try {
      control_.listen(settings_.control.socket_if_free, settings_.control.group);
    } catch (const ControlError& error) {
      log_.debug("control-socket-not-free", {{"reason", error.what()}});
    }
  }

  void say(const std::string& problem) {
    if (!problem.empty()) log_.warning("place-not-kept", {{"reason", problem}});
  }

  Json reload() {
    if (arguments_.config.empty()) throw ControlError("started from options: nothing to reload");
    try {
      NodeSettings fresh = load_node_settings(arguments_.config);
      driver_->core().set_limits(trigger_limits(fresh));
      log_.info("reloaded", {{"file", arguments_.config}});
      return {{"files", Json::array({arguments_.config})}, {"warnings", fresh.warnings}};
    } catch (const ConfigError& error) {
      log_.error("reload-failed", {{"reason", error.what()}});
      throw ControlError(error.what());
    }
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (signal == SIGHUP) {
        try {
          reload();
        } catch (const ControlError& failure) {
          log_.warning("not-reloaded", {{"reason", failure.what()}});
        }
        return wait_for_signal();
      }
      log_.info("leaving", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
      driver_->leave();
      if (tls_) tls_->close();
      metrics_.reset();
      control_.close();
      // Time for the kernel to send what the neighbours are told.
      leaving_.expires_after(kLeaveFor);
      leaving_.async_wait([this](const boost::system::error_code&) { context_.stop(); });
    });
  }

  const Arguments& arguments_;
  NodeSettings settings_;
  Log& log_;
  SystemRandom random_;
  SystemClock clock_;
  std::unique_ptr<Identity> identity_;
  boost::asio::io_context context_{1};
  std::unique_ptr<NodeDriver> driver_;
  std::unique_ptr<TlsServer> tls_;
  std::unique_ptr<MetricsServer> metrics_;
  ControlServer control_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer leaving_;
};

int issue_membership(const Arguments& arguments) {
  const auto member = PublicKey::from_text(arguments.issue_membership);
  if (!member)
    throw ConfigError("--issue-membership: \"" + arguments.issue_membership +
                      "\" is no key; 52 characters are expected");
  const auto operator_key = load_key(arguments.operator_key_file);
  const auto days = std::chrono::nanoseconds(std::chrono::hours(24) * arguments.days);
  const WallTime expiry = SystemClock().wall() + static_cast<WallTime>(days.count());
  std::cout << membership_text(wire::Membership::issue(*operator_key, *member, expiry)) << '\n';
  return kFine;
}

void add_options(CLI::App& app, Arguments& arguments) {
  app.set_version_flag("--version", "i3-node 0.1.0");
  auto* config = app.add_option("--config", arguments.config, "Settings (XML)");
  app.add_flag("--check-config", arguments.check_config, "Only check the settings: exit 0 or 2");
  for (CLI::Option* option :
       {app.add_option("--listen", arguments.node.listen,
                       "ADDR:PORT to listen on; may be repeated"),
        app.add_option("--advertise", arguments.node.advertise,
                       "ADDR:PORT that others reach, for the --listen at the same place"),
        app.add_option("--tls", arguments.node.tls,
                       "ADDR:PORT to serve TLS on, for the --listen at the same place"),
        app.add_option("--join", arguments.node.join, "ADDR:PORT of a member; may be repeated"),
        app.add_option("--state-dir", arguments.node.state_dir, "Where key and state are kept")})
    option->excludes(config);
  app.add_option("--log-level", arguments.log_level, "error, warning, info or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}));
  auto* issue = app.add_option("--issue-membership", arguments.issue_membership,
                               "Print a membership of an operator's ring for this node key");
  issue->needs(app.add_option("--operator-key", arguments.operator_key_file,
                              "The operator's key file, for --issue-membership"));
  app.add_option("--days", arguments.days, "How long the membership holds (365)")
      ->check(CLI::Range(1, 36500));
}

int run(const Arguments& arguments) {
  if (!arguments.issue_membership.empty()) return issue_membership(arguments);
  NodeSettings settings = load(arguments);
  if (arguments.check_config) {
    core_settings(settings);
    return kFine;
  }
  Log log = standard_error_log(*log_level_from(arguments.log_level), "i3-node");
  Node(arguments, std::move(settings), log).run();
  return kFine;
}

int guarded(const Arguments& arguments) {
  auto say = [](const std::exception& error, Exit code) {
    std::cerr << "i3-node: " << error.what() << '\n';
    return code;
  };
  try {
    return run(arguments);
  } catch (const ConfigError& error) {
    // FILE:LINE:COLUMN stands first, as editors expect it.
    std::cerr << error.what() << '\n';
    return kUsage;
  } catch (const KeyFileError& error) {
    return say(error, kUsage);
  } catch (const SocketError& error) {
    if (error.privilege) std::cerr << "i3-node: ports below 1024 need CAP_NET_BIND_SERVICE\n";
    return say(error, error.privilege ? kPrivilege : kFailed);
  } catch (const std::exception& error) {
    return say(error, kFailed);
  }
}

}  // namespace
}  // namespace i3

int main(int count, char** values) {
  i3::Arguments arguments;
  CLI::App app("A member of an i3 overlay: stores triggers and forwards packets to them.");
  i3::add_options(app, arguments);
  try {
    app.parse(count, values);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? i3::kFine : i3::kUsage;
  }
  return i3::guarded(arguments);
}
