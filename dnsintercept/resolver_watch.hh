// Owns watching resolv.conf, so that changes which the user or a DHCP client makes are honoured.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "dnsintercept/resolver_config.hh"

namespace i3 {

// Calls `changed` with the new configuration each time the file's meaning changes: written in
// place, replaced, or its symlink pointed elsewhere. Not called for the state at construction:
// take that from current(). Besides inotify it looks every five seconds, for mounts and file
// systems that tell nothing. One thread: the one that runs `io`.
class ResolverWatch {
 public:
  ResolverWatch(boost::asio::io_context& io, std::string path,
                std::function<void(const ResolverConfig&)> changed);
  ~ResolverWatch();
  ResolverWatch(const ResolverWatch&) = delete;
  ResolverWatch& operator=(const ResolverWatch&) = delete;

  const ResolverConfig& current() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace i3
