// Owns what the kernel knows of waypoints: changes are gathered and sent to the parent, one request
// at a time.
#pragma once

#include <functional>
#include <unordered_map>

#include "proxy/platform/waypoint_names.hh"

namespace i3 {

class KernelNames {
 public:
  using Send = std::function<void(const std::vector<WaypointName>& names,
                                  std::function<void(bool ok, const std::string& why)> done)>;
  // `refused` once for each that the parent does not take.
  KernelNames(Send send, std::function<void(const WaypointName&, const std::string& why)> refused)
      : send_(std::move(send)), refused_(std::move(refused)) {}

  // The last one for a client and waypoint counts.
  void set(const WaypointName& name) { waiting_[key_of(name)] = name; }
  void flush();
  std::size_t waiting() const { return waiting_.size(); }
  // Nothing that was said is still to reach the kernel.
  bool settled() const { return waiting_.empty() && sent_.empty(); }
  // The number of the request that all which was said up to now will have gone with.
  std::uint64_t batch() const {
    return started_ + (waiting_.size() + kMaximumWaypointNames - 1) / kMaximumWaypointNames;
  }
  // Called when a request was answered, with its number. Numbers rise by one.
  std::function<void(std::uint64_t batch)> known = [](std::uint64_t) {};

 private:
  static std::string key_of(const WaypointName& name) {
    std::string key(name.client.bytes.begin(), name.client.bytes.end());
    key.append(name.waypoint.bytes.begin(), name.waypoint.bytes.end());
    return key.append(1, name.window ? 'w' : 'b');
  }
  void answered(bool ok, const std::string& why);

  Send send_;
  std::function<void(const WaypointName&, const std::string& why)> refused_;
  std::unordered_map<std::string, WaypointName> waiting_;
  std::vector<WaypointName> sent_;
  std::uint64_t started_ = 0;
  std::size_t alone_ = 0;  // so many go one by one: with others they were refused
};

}  // namespace i3
