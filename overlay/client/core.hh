// Owns what the parts of one client share: who it is, its settings, sending, and its counters.
#pragma once

#include <functional>

#include "overlay/client/client.hh"

namespace i3::client {

// Tuning, not protocol.
inline constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
inline constexpr Duration kLastRetry = std::chrono::seconds(5);

// How long to wait after the `tries`th try (from 1): `first` doubled each time, at most `most`, a
// tenth more or less at random so that hosts do not march in step.
inline Duration backoff(Random& random, unsigned tries, Duration first = kFirstRetry,
                        Duration most = kLastRetry) {
  Duration wait = first;
  for (unsigned i = 1; i < tries && wait < most; ++i) wait *= 2;
  wait = std::min(wait, most);
  const auto tenth = static_cast<std::uint64_t>(wait.count() / 10);
  return wait - wait / 10 + Duration(static_cast<Duration::rep>(random.below(2 * tenth + 1)));
}

// A node and the one of its addresses that we use.
struct Target {
  wire::NodeContact contact;
  Endpoint address;

  bool same(const Target& other) const {
    return contact.key == other.contact.key && address == other.address;
  }
};

struct Core {
  const Identity& identity;
  Random& random;
  Log& log;
  ClientOptions options;
  ClientEvents& events;
  ClientCounters counters{};
  // How many rows under our own key a node holds beside the placer's: its refreshes count them too.
  std::function<std::size_t(const Endpoint&)> also_held = {};
  std::vector<IpAddress> own_addresses{};
  // How often the NAT before us must see a packet.
  Duration keep_alive = std::chrono::seconds(10);
  TimePoint wall_read{};
  WallTime wall_base = 0;

  // Wall time where only `now` is at hand: counted on from what the driver said last.
  WallTime wall(TimePoint now) const {
    return wall_base + static_cast<WallTime>(std::max(now - wall_read, Duration(0)).count());
  }
  void set_wall(TimePoint now, WallTime wall) {
    wall_read = now;
    wall_base = wall;
  }
  // Never 0, which means "none".
  std::uint64_t nonce() {
    for (;;)
      if (std::uint64_t value = random.u64()) return value;
  }
  std::optional<Endpoint> reachable(const wire::NodeContact& contact) const {
    return contact.reachable(options.have_v4, options.have_v6);
  }
  bool usable(const Endpoint& endpoint) const {
    return endpoint.valid() && (endpoint.address.is_v4() ? options.have_v4 : options.have_v6);
  }
  // False if the message would be too long.
  template <class Message>
  bool send(const Endpoint& to, const Message& message) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    if (writer.ok()) events.send(to, writer.written());
    return writer.ok();
  }
};

}  // namespace i3::client
