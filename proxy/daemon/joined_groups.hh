// Owns which multicast addresses local programs have joined on the TUN, as the kernel lists them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/endpoint.hh"

namespace i3 {

// The addresses that /proc/net/igmp and /proc/net/igmp6 list for that interface; lines that cannot
// be read are skipped.
std::vector<IpAddress> joined_v4(std::string_view table, std::string_view interface);
std::vector<IpAddress> joined_v6(std::string_view table, std::string_view interface);
// A host's own word to its routers that it joined or left something (IGMP, MLD).
bool is_membership_report(Bytes packet);

// Reads them when the kernel has said that something changed, and every few seconds, for a report
// may have been sent before the daemon was there.
class JoinedGroups {
 public:
  JoinedGroups(boost::asio::io_context& io, std::string interface,
               std::function<void(const std::vector<IpAddress>&)> changed);

  // While there are groups at all.
  void watch(bool on);
  // A report came out of the TUN: reads again, now and once more a moment later.
  void reported();

 private:
  void read();
  void arm(std::chrono::milliseconds after);

  std::string interface_;
  std::function<void(const std::vector<IpAddress>&)> changed_;
  boost::asio::steady_timer timer_;
  std::vector<IpAddress> joined_;
  bool on_ = false;
};

}  // namespace i3
