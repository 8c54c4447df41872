// Owns one simulated NAT of any kind that RFC 4787 tells apart: which outside port stands for an
// inside one, and what it lets in.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/random.hh"
#include "overlay/base/time.hh"

namespace i3::sim {

struct NatKind {
  // What a mapping, or the filter, takes into account besides the inside endpoint.
  enum class By : std::uint8_t { nothing, address, address_and_port };
  enum class Ports : std::uint8_t { preserved, next, random };
  By mapping = By::nothing;
  By filtering = By::address_and_port;
  Ports ports = Ports::next;
  bool hairpin = false;          // inside hosts reach each other by their outside addresses
  bool one_address_each = true;  // of the pool, for all that an inside host sends
  Duration timeout = std::chrono::seconds(60);  // since the last packet out

  static NatKind full_cone() { return {By::nothing, By::nothing}; }
  static NatKind address_restricted() { return {By::nothing, By::address}; }
  static NatKind port_restricted() { return {}; }
  static NatKind symmetric() { return {By::address_and_port, By::address_and_port, Ports::random}; }
  // Its ports can be told in advance.
  static NatKind symmetric_in_order() {
    return {By::address_and_port, By::address_and_port, Ports::next};
  }
};

class NatBox {
 public:
  NatBox(NatKind kind, std::vector<IpAddress> outside, SeededRandom random)
      : kind_(kind), outside_(std::move(outside)), random_(random) {
    next_port_ = static_cast<std::uint16_t>(20000 + random_.below(20000));
  }

  const NatKind& kind() const { return kind_; }
  // The outside endpoint that a packet from `inside` to `to` bears.
  Endpoint out(const Endpoint& inside, const Endpoint& to, TimePoint now);
  // For whom a packet to the outside endpoint `to` is; nothing if it is dropped.
  std::optional<Endpoint> in(const Endpoint& from, const Endpoint& to, TimePoint now) const;
  // Forgets all, and goes on with other ports.
  void reboot();

 private:
  struct Mapping {
    Endpoint inside;
    Endpoint towards;            // as far as it counts
    std::set<Endpoint> sent_to;  // for the filter
    TimePoint last;
  };
  using Key = std::pair<Endpoint, Endpoint>;

  static Endpoint counted(NatKind::By by, const Endpoint& endpoint);
  Endpoint take_port(const Endpoint& inside);
  bool expired(const Mapping& mapping, TimePoint now) const {
    return mapping.last + kind_.timeout <= now;
  }

  NatKind kind_;
  std::vector<IpAddress> outside_;
  SeededRandom random_;
  std::uint16_t next_port_;
  std::map<Endpoint, Mapping> by_outside_;
  std::map<Key, Endpoint> by_inside_;
};

}  // namespace i3::sim
