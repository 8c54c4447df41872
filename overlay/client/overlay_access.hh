// Owns what a host asks of its side of the overlay: a Client, which is reached by everybody, or a
// RelayedClient, which nobody knows and whose every datagram goes to one node.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "overlay/base/time.hh"
#include "overlay/wire/hello.hh"

namespace i3 {

struct Observed;

// Sans-I/O, one thread; what each of these means is said at Client's own.
class OverlayAccess {
 public:
  virtual ~OverlayAccess() = default;

  virtual bool restore(Bytes state) = 0;
  virtual std::vector<std::uint8_t> save() const = 0;
  virtual void start(TimePoint now, WallTime wall) = 0;
  virtual void on_message(const Endpoint& from, Bytes message, TimePoint now, WallTime wall) = 0;
  virtual TimePoint next_deadline() const = 0;
  virtual void on_timer(TimePoint now, WallTime wall) = 0;

  virtual std::uint64_t send_by_id(const Id& id, std::uint8_t kind, Bytes payload,
                                   TimePoint now) = 0;
  // The same by several IDs, none of which may be left out.
  virtual std::uint64_t send_stack(std::span<const Id> ids, std::uint8_t kind, Bytes payload,
                                   TimePoint now) = 0;
  virtual void send_returned(const Endpoint& node, const wire::SourceTag& tag, std::uint8_t kind,
                             Bytes payload) = 0;
  virtual Id take_private(TimePoint now) = 0;
  virtual void release(const Id& id, TimePoint now) = 0;
  virtual wire::ReturnPath path(const Id& id) const = 0;
  // False for a private trigger that take_private would not give any more: it stands where it does
  // until it is released, but new ones are nearer.
  virtual bool well_placed(const Id&) const { return true; }

  // The salt of the prefix that a private trigger lies under; nothing for any other ID.
  virtual std::optional<std::uint32_t> salt_of(const Id&) const { return std::nullopt; }

  virtual bool ready() const = 0;
  virtual std::string trouble() const = 0;
  virtual Observed observed() const = 0;
  // How often the NAT before us must see a packet.
  virtual Duration keep_alive() const { return std::chrono::seconds(10); }
  // Not 0: each new binding gets the port so far behind the last one's; sample_port then finds
  // out where the next one comes.
  virtual int port_step() const { return 0; }
  virtual void sample_port(TimePoint) {}
  virtual void network_changed(TimePoint now) = 0;
  // Not for who keeps no triggers of its own.
  virtual void verify(TimePoint) {}
  virtual void set_families(bool have_v4, bool have_v6) = 0;

  virtual void stop(TimePoint now) = 0;
  virtual bool stopped() const = 0;
};

}  // namespace i3
