// Owns the IPv4 waypoints: which name an address stands for, for which client, and how long (seed
// 001, appendix). Pure; no socket, no DNS.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "overlay/base/time.hh"
#include "overlay/base/xml/values.hh"

namespace i3 {

// A DNS answer gives a name an address of its own for a second: the window. A client whose first
// handshake completes within it is bound: from then on that address means that name to that client,
// until it is idle for long.
//
// Two departures from the paper, both against being locked out: a window serves every client that
// comes within it, not the first only, so a stranger's connection takes nothing from the one who
// asked; and only a handshake that was completed binds, so forged SYNs do nothing at all. Who asks
// for a name again within its window gets the same address.
class Waypoints {
 public:
  struct Settings {
    std::vector<IpRange> ranges;
    Duration window = std::chrono::seconds(1);
    Duration idle = std::chrono::hours(1);
    std::size_t max_bindings = 65536;
  };
  // Further addresses of the ranges are never given; by Host and by server name they work.
  static constexpr std::size_t kMaxGiven = 1024;

  explicit Waypoints(const Settings& settings);

  bool none() const { return slots_.empty(); }
  bool has(const IpAddress& address) const { return index_.contains(address); }

  // An address for `name`, asked for by `asker` (the client's resolver). Nothing: all have an open
  // window for other names, or the asker holds three quarters of them.
  std::optional<IpAddress> give(std::string_view name, const IpAddress& asker, TimePoint now);
  // Where give() has none and some answer must be made: an address that serves by Host and server
  // name. Its window closes, one of the asker's own if it has any, so that nobody is taken to the
  // wrong name by it.
  IpAddress give_shared(const IpAddress& asker, TimePoint now);
  // Opens a window at one address; false when it has one for another name. For an address that
  // another machine's DNS server gave.
  bool expect(const IpAddress& address, std::string_view name, const IpAddress& asker,
              TimePoint now);

  // A client's handshake at `waypoint` completed: the name that it means there, borrowed until the
  // next call. Nothing: neither bound nor in a window.
  std::optional<std::string_view> bind(const IpAddress& client, const IpAddress& waypoint,
                                       TimePoint now);

  // The name that the client is bound to there, empty if none; renews nothing.
  std::string_view bound_to(const IpAddress& client, const IpAddress& waypoint) const;

  struct Change {
    IpAddress client, waypoint;
    std::string name;  // empty: the binding is over
  };
  // Bindings that were made, changed or ended since the last call, in order.
  std::vector<Change> take_changes();
  struct Window {
    IpAddress waypoint, asker;
    std::string name;  // empty: it is shut
  };
  // Windows that were opened or shut since the last call; of one waypoint the shut one first.
  // Afterwards next_shut() says when there is more.
  std::vector<Window> take_windows(TimePoint now);
  TimePoint next_shut() const { return next_shut_; }
  // The name of the open window there, empty if none is.
  std::string_view window_of(const IpAddress& waypoint, TimePoint now) const;
  // Ends what was idle too long; afterwards the time when there is more to end.
  TimePoint sweep(TimePoint now);
  // Names that mean nothing any more, after the books were read again.
  void forget_unless(const std::function<bool(std::string_view)>& known);

  std::size_t bindings() const { return by_key_.size(); }
  std::size_t open_windows(TimePoint now) const;

 private:
  struct Slot {
    IpAddress address{};
    std::string name{};
    IpAddress asker{};
    TimePoint until{};  // of the window
    TimePoint given{};
    std::string told_name{};  // by take_windows()
    IpAddress told_asker{};
    bool open(TimePoint now) const { return now < until && !name.empty(); }
  };
  struct Key {
    IpAddress client, waypoint;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<IpAddress>{}(key.client) * 31 + std::hash<IpAddress>{}(key.waypoint);
    }
  };
  struct Binding {
    Key key;
    std::string name;
    IpAddress asker{};
    TimePoint used{};
  };
  using Order = std::list<Binding>;

  Slot* slot_for(std::string_view name, const IpAddress& asker, TimePoint now);
  void open_window(Slot& slot, std::string_view name, const IpAddress& asker, TimePoint now);
  void end(Order::iterator binding);

  Settings settings_;
  std::vector<Slot> slots_;
  std::unordered_map<IpAddress, std::size_t> index_;
  Order order_;  // least recently used first
  std::unordered_map<Key, Order::iterator, KeyHash> by_key_;
  std::vector<Change> changes_;
  TimePoint next_shut_ = kNever;
};

}  // namespace i3
