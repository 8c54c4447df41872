// Owns the relay inside the kernel: a program at TC ingress of this machine's Ethernet interfaces
// that sends labelled packets straight on while they hold a lease (docs/RELAY.md).
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "overlay/base/control/socket.hh"
#include "overlay/node/label_leases.hh"

struct bpf_object;

namespace i3 {

// what() is one line: what the kernel lacks or does not allow.
class KernelRelayError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The index of an interface, and the neighbour there; unspecified: left to the kernel.
struct Way {
  unsigned out = 0;
  IpAddress next_hop;
};

// Everything goes with the process: program, tables and their places are held by descriptors only.
// A lease is short, and is renewed while it is used; so whatever ends a trigger ends its lease,
// even where nobody says so.
class KernelRelay final : public LabelLeases {
 public:
  static constexpr Duration kLease = std::chrono::seconds(1);
  static constexpr Duration kRenewEvery = std::chrono::milliseconds(300);
  static constexpr Duration kHurry = std::chrono::milliseconds(20);
  static constexpr Duration kForgetUnused = std::chrono::seconds(5);
  // A route is asked for once in so long.
  static constexpr Duration kRouteFor = std::chrono::seconds(5);
  static constexpr std::size_t kMostLeases = 4096;
  // Labels remembered to lead where the program does not sit; with more of them one is looked at
  // every kAskApart, so that they cost no more than that and take no lease's place.
  static constexpr std::size_t kMostImpossible = 4096;
  static constexpr Duration kAskApart = std::chrono::milliseconds(5);

  // Loads the program and attaches it to every Ethernet interface that is up. Throws
  // KernelRelayError: Linux before 6.6, no CAP_BPF and CAP_NET_ADMIN, no such interface.
  KernelRelay();
  ~KernelRelay() override;
  KernelRelay(const KernelRelay&) = delete;
  KernelRelay& operator=(const KernelRelay&) = delete;

  std::vector<std::string> interfaces() const;

  void offer(wire::Label label, const Endpoint& local, const Endpoint& target,
             TimePoint now) override;
  void review(TimePoint now, const Target& target) override;
  void hurry(TimePoint now) override;
  TimePoint next_review() const override { return leases_.empty() ? kNever : next_review_; }
  // Packets and bytes (of UDP payload) sent on, labelled packets left to user space, and leases.
  std::map<std::string, std::uint64_t, std::less<>> counters() const override;

  int program() const { return program_; }  // its descriptor, for tests

 private:
  struct LabelHash {
    std::size_t operator()(const wire::Label& label) const {
      return std::hash<std::uint64_t>()(std::uint64_t{label.slot} << 32 | label.secret);
    }
  };
  struct Lease {
    Endpoint local, target;
    Way way;
    TimePoint route_until{}, renewed{};
  };
  struct Attached {
    std::string name;
    OwnedFd link;
  };

  bool write(wire::Label label, const Lease& lease, TimePoint now, std::uint64_t used);
  std::optional<std::uint64_t> last_used(wire::Label label) const;
  void end(wire::Label label);
  bool renew(wire::Label label, Lease& lease, TimePoint now);
  Way way_to(const Endpoint& local, const Endpoint& target) const;
  bool may_ask(wire::Label label, TimePoint now);
  // To interfaces that are up, and were not before.
  int attach();

  struct Close {
    void operator()(bpf_object* object) const;
  };
  std::unique_ptr<bpf_object, Close> object_;
  int program_ = -1, leases_map_ = -1, counts_map_ = -1;
  std::unordered_map<unsigned, Attached> attached_;  // by index
  std::unordered_map<wire::Label, Lease, LabelHash> leases_;
  std::unordered_map<wire::Label, TimePoint, LabelHash> impossible_;  // until
  TimePoint next_ask_{};
  TimePoint next_review_ = kNever;
  TimePoint next_attach_{};
};

// How packets from `source`, an address of this machine, to `target` leave; `out` is 0 without a
// route. Both of one family.
Way way_towards(const IpAddress& source, const IpAddress& target);

}  // namespace i3
