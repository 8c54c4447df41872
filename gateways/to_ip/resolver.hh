// Owns asking the gateway's own DNS servers, by c-ares inside the event loop: A and AAAA of many
// names at once, nothing waits.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "overlay/base/endpoint.hh"

namespace i3 {

struct Resolved {
  std::uint8_t rcode = 0;  // of DNS; 2 where no server answered
  std::vector<IpAddress> addresses;
  std::uint32_t lifetime_s = 0;  // the shortest of the records'
};

// Single-threaded. What is under way when it ends is not told any more.
class Resolver {
 public:
  // No servers: those of resolv.conf, read again when they change.
  Resolver(boost::asio::io_context& io, std::vector<Endpoint> servers);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // `done` is called once, never from inside.
  void resolve(const std::string& name, std::function<void(const Resolved&)> done);
  std::size_t under_way() const;
  std::vector<Endpoint> servers() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace i3
