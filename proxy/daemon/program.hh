// Owns what the programs of a host have in common between main and worker: options, the parent,
// exit codes. i3-proxy and i3-gateway differ in what is described here.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/daemon/parent_request.hh"
#include "proxy/daemon/worker_extension.hh"
#include "proxy/platform/request.hh"

namespace i3 {

struct Program {
  std::string name;     // "i3-proxy"
  std::string summary;  // of --help
  std::string default_config;
  std::string default_socket;  // what --cleanup looks at where there is no configuration
  // Writes a first configuration where there is none and the user named none; may be empty.
  std::function<void(const std::string& config)> write_first_config;
  SettingsReader read_settings;
  // What the parent is asked for beside a proxy's needs; may be empty.
  std::function<void(const std::string& config, PlatformRequest&)> add_request;
  // What --cleanup does beside a proxy's; may be empty. False if something is left.
  std::function<bool(const std::string& socket, Log& log)> clean_up;
  // What the worker does beside a proxy's work; may be empty.
  std::function<std::unique_ptr<WorkerExtension>()> make_extension;
};

// The whole of main: 0 fine, 1 failed while running, 2 bad usage or configuration, 3 lacks a
// privilege.
int run_program(const Program& program, int argc, char** argv);

}  // namespace i3
