// Owns the overlay node that runs inside the proxy where no entry node is configured: one machine
// alone works, and a second one can join it by invitation.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "overlay/base/control/control.hh"
#include "overlay/base/entry_node.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/log.hh"
#include "overlay/base/time.hh"
#include "proxy/platform/inherited.hh"

namespace i3 {

class EmbeddedNode {
 public:
  // `own` are the host's addresses; the first of each family is advertised, loopback if none.
  // `join` are nodes of the ring that it belongs to; none: a ring of its own. All references
  // outlive it.
  EmbeddedNode(boost::asio::io_context& io, const Identity& identity, Random& random, Clock& clock,
               Log& log, BoundSocket socket, const std::vector<Endpoint>& own,
               const std::vector<EntryNode>& join);
  ~EmbeddedNode();

  // Where this host's own client reaches it.
  const Endpoint& address() const;
  // Triggers of other hosts that it keeps: somebody relies on it.
  bool has_guests() const;
  // The fields of i3-ctl ring.
  Json ring() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace i3
