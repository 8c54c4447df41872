// Owns what every command needs: the daemon, found at its socket, and the form of the answer.
#pragma once

#include <CLI/App.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "overlay/base/control/client.hh"

namespace i3 {

// The command line's choices, filled by CLI11 before a command runs.
struct Asking {
  std::string socket;  // empty: the first of the usual ones that answers
  bool json = false;
  bool show_exchange = false;  // --log-level debug
  double timeout_s = 30;

  // Throws ControlError.
  Json ask(const std::string& command, const Json& arguments = Json::object(),
           const ControlClient::Partial& on_partial = {});
  // The answer on standard output: as JSON, or by `text`.
  void show(const Json& answer, const std::function<void(std::ostream&)>& text) const;
  // Where the last ask() went.
  const std::string& asked_at() const { return asked_at_; }

 private:
  ControlClient connect();
  std::string asked_at_;
};

// A file's text, "-" for standard input; ControlError if it cannot be read or is over 1 MB.
std::string text_of(const std::string& file);

// Each adds its subcommands; `asking` must outlive `app`.
void add_status_commands(CLI::App& app, Asking& asking);
void add_overlay_commands(CLI::App& app, Asking& asking);
void add_book_commands(CLI::App& app, Asking& asking);
void add_group_commands(CLI::App& app, Asking& asking);
void add_record_commands(CLI::App& app, Asking& asking);

}  // namespace i3
