// Owns the second UDP socket by which the host finds out what its NAT does.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "overlay/base/endpoint.hh"
#include "overlay/wire/header.hh"

namespace i3 {

class AsideSocket {
 public:
  // `received` is called for each datagram, `turn` after it.
  AsideSocket(boost::asio::io_context& io, std::function<void(const Endpoint&, Bytes)> received,
              std::function<void()> turn);
  ~AsideSocket();

  // Closes the one before. At a port of the kernel's choice, which is returned; both families
  // unless `v4_only`. Nothing: the system gives none.
  std::optional<std::uint16_t> open(bool v4_only);
  void send(const Endpoint& to, Bytes datagram);
  void close();

 private:
  struct Open;
  void wait(const std::shared_ptr<Open>& open);

  boost::asio::io_context& io_;
  std::function<void(const Endpoint&, Bytes)> received_;
  std::function<void()> turn_;
  std::shared_ptr<Open> open_;
};

}  // namespace i3
