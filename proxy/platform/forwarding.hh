// Owns the kernel's forwarding switches as a gateway needs them, and puts them back.
#pragma once

#include <map>
#include <string>

#include "overlay/base/log.hh"

namespace i3 {

// IPv4 is switched on by interface. IPv6 has one switch for all; interfaces that live by router
// advertisements keep listening to them.
// What the switches were is written to a file first: a process that was killed cannot put them
// back, and the next one must not take its settings for the host's.
class Forwarding {
 public:
  // `record`: where that is written; one that an earlier process left counts, and is undone first.
  Forwarding(std::string record, Log& log);
  ~Forwarding();  // puts everything back
  Forwarding(const Forwarding&) = delete;
  Forwarding& operator=(const Forwarding&) = delete;

  // From and to that interface. Empty, or why not. `opened`: it was off before, so that what the
  // gateway does not forward itself must be kept from passing.
  std::string allow4(const std::string& interface, bool& opened);
  std::string allow6(bool& opened);

 private:
  std::string set(const std::string& key, const std::string& value);
  void put_back();

  std::string record_;
  Log& log_;
  std::map<std::string, std::string> before_;  // path below /proc/sys/net, value
  bool all6_ = false;
};

// What a killed gateway left of it.
bool restore_forwarding(const std::string& record, Log& log);

}  // namespace i3
