// Owns the form of what goes wrong while the host is being set up: one plain line and an exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace i3 {

// what() is one line for a person. exit_code() is 1 (failed) or 3 (lacks a privilege, which what()
// names). Thrown at start only.
class PlatformError : public std::runtime_error {
 public:
  explicit PlatformError(const std::string& what, int exit_code = 1)
      : std::runtime_error(what), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// "WHAT: reason of errno".
PlatformError system_error(const std::string& what, int error_number);
// Exit code 3: "needs CAP_NET_ADMIN to WHAT: run as root, or grant it".
PlatformError lacks_privilege(const std::string& privilege, const std::string& purpose);

}  // namespace i3
