// Owns anonymous visits: for each name that is to be reached without being known, a small host of
// its own behind a relay of its own, whose packets come and go through this host's TUN
// (docs/DESIGN.md, decision 25).
#pragma once

#include <map>
#include <unordered_map>

#include "overlay/client/relay_pool.hh"
#include "proxy/host/host.hh"

namespace i3 {

// What visits ask of their driver or simulator. Sockets are numbered by the asker, each number
// once; number 0 is the one that looks for relays.
class VisitIo {
 public:
  using Socket = std::uint32_t;
  virtual ~VisitIo() = default;
  // A UDP socket with a port of its own, that nothing but its visit uses. False if the system
  // refuses.
  virtual bool open(Socket socket) = 0;
  virtual void close(Socket socket) = 0;
  virtual void send(Socket socket, const Endpoint& to, Bytes datagram) = 0;
  // The one node that this socket speaks to from now on.
  virtual void set_relay(Socket, const wire::NodeContact&) {}
  // A packet for local programs.
  virtual void visit_to_tun(Bytes packet) = 0;
};

struct VisitName {
  std::string name;  // without suffix, lower case
  PublicKey key;     // of the host that is visited
  std::optional<PublicKey> middlebox = {};
  auto operator<=>(const VisitName&) const = default;
};

struct VisitCounters {
  std::uint64_t begun = 0, ended = 0, relays_changed = 0;
  std::uint64_t foreign = 0;       // datagrams not from the visit's relay
  std::uint64_t not_to_relay = 0;  // never: what was to leave for anybody else, and did not
  std::uint64_t no_room = 0;       // no visit, socket or virtual address was free
  std::uint64_t malformed = 0;     // no IP packet
  std::uint64_t park_full = 0;     // packets beyond what waits for a relay
  std::uint64_t no_relay = 0;      // packets whose sender was told so
};

// Sans-I/O, like Host; one thread. After every call the driver asks next_deadline() again.
class Visits {
 public:
  static constexpr std::size_t kMaxVisits = 64;
  static constexpr std::size_t kMaxParked = 32;  // packets of a visit that has no relay yet
  static constexpr Duration kRelayPatience = std::chrono::seconds(4);
  static constexpr Duration kRelayPause = std::chrono::milliseconds(300);
  static constexpr Duration kSweepEvery = std::chrono::seconds(30);

  // The references outlive it. `host` is the one that is known; it lends its TUN's addresses, its
  // address pool and its entry nodes, and learns nothing of visits.
  Visits(Host& host, Clock& clock, Random& random, Log& log, VisitIo& io, Duration idle);
  ~Visits();

  // After settings were read: visits of names that are gone, or mean another key, end.
  void set_names(std::vector<VisitName> names);
  void network_changed(bool have_v4, bool have_v6);
  // UDP is blocked, or again not: relays that serve TLS are better ones then, and those that the
  // host itself is connected to worse. Every visit is seen at another address from then on.
  void set_tunnelled(bool tunnelled, std::optional<RingId> own_node);
  // So is one of them.
  void moved(VisitIo::Socket socket);
  void stop();

  bool has(std::string_view name) const;
  // The virtual addresses of a name; begins a visit if there is none. Nothing for other names, and
  // when there is no room.
  struct Addresses {
    PublicKey key;
    VirtualIp ipv4, ipv6;
  };
  std::optional<Addresses> meet(std::string_view name);
  std::optional<std::string> name_at(const IpAddress& virtual_address) const;

  // A packet that a local program sent, changed in place; false, and untouched, if it is for no
  // visit.
  bool on_tun(Frame frame);
  void on_datagram(VisitIo::Socket socket, const Endpoint& from, MutBytes datagram);
  TimePoint next_deadline() const;
  void on_timer();

  // Ends the visit of a name: the next use is a new one, by a stranger to the last. False if none.
  bool renew(std::string_view name);
  void ping(std::string_view name, Duration timeout, std::function<void(const PingResult&)> done);

  struct Status {
    std::string name;
    PublicKey key;
    VirtualIp ipv4, ipv6;
    PublicKey identity;             // what the visited host sees
    std::optional<Endpoint> relay;  // nothing: none was found yet
    const Peer* peer = nullptr;     // as the visit's host knows the other; null without a relay
    bool stands = false;            // a session does
    RelayedCounters overlay;
    TimePoint last_used{};
  };
  std::vector<Status> status() const;
  const VisitCounters& counters() const { return counters_; }
  const RelayPool& relays() const { return pool_; }

 private:
  class Visit;

  Visit* find(std::string_view name) const;
  Visit* begin(const VisitName& name, TimePoint now);
  void end(Visit& visit);
  void give_relays(TimePoint now);
  void give_relay(Visit& visit, TimePoint now);
  void give_up_waiting(Visit& visit, TimePoint now);

  Host& host_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  VisitIo& io_;
  Duration idle_;
  bool have_v4_ = true, have_v6_ = true;
  bool stopped_ = false;
  bool tunnelled_ = false;
  std::optional<RingId> own_node_;
  std::vector<VisitName> names_;
  RelayPool pool_;
  std::map<VisitIo::Socket, std::unique_ptr<Visit>> visits_;  // at most kMaxVisits
  std::unordered_map<IpAddress, Visit*> by_address_;
  VisitIo::Socket next_socket_ = 1;
  bool pool_socket_ = false;
  TimePoint next_sweep_ = kNever;
  VisitCounters counters_;
};

}  // namespace i3
