// Owns the sockets of the DNS stub: the Asio driver of the Interceptor.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "dnsintercept/dns_listeners.hh"
#include "dnsintercept/interceptor.hh"
#include "overlay/base/log.hh"

namespace i3 {

// Makes a socket for questions to upstream servers, marked so that the redirect lets it pass.
// `type` is SOCK_DGRAM or SOCK_STREAM; returns a descriptor that the caller owns, or -1.
using UpstreamSocketFactory = std::function<int(int family, int type)>;

// Single-threaded: construct, use and destroy on the thread that runs `io`. All references must
// outlive the server. Idle TCP connections end after 10 s; at most 64 are open at a time.
class DnsServer {
 public:
  DnsServer(boost::asio::io_context& io, NameService& names, Random& random, const Clock& clock,
            Log& log, DnsSockets sockets, UpstreamSocketFactory make_socket,
            InterceptorSettings settings = {});
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  void set_upstreams(std::vector<Endpoint> servers);
  void complete(std::uint64_t handle, const NameAnswer& answer);
  void complete(std::uint64_t handle, Rcode rcode);
  const InterceptorCounters& counters() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace i3
