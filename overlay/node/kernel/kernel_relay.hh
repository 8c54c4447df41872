// Owns the relay inside the kernel: a program at TC ingress of this machine's Ethernet interfaces
// that sends labelled packets straight on while they hold a lease, and one at XDP for those that
// leave by the interface on which they came (docs/RELAY.md).
#pragma once

#include <array>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "overlay/base/control/socket.hh"
#include "overlay/node/kernel/route.hh"
#include "overlay/node/label_leases.hh"

struct bpf_object;

namespace i3 {

// what() is one line: what the kernel lacks or does not allow.
class KernelRelayError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Interfaces that have the program at XDP: none, those with a device behind them, every Ethernet
// one.
enum class XdpOn { none, devices, every };

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

  // A neighbour's hardware address is asked for again after so long; an unknown one sooner.
  static constexpr Duration kNeighbourFor = std::chrono::seconds(1);
  static constexpr Duration kUnknownFor = std::chrono::milliseconds(100);
  static constexpr std::size_t kMostNeighbours = 4096;
  static constexpr std::size_t kMostRefusals = 16;

  // Loads the programs and attaches them to every Ethernet interface that is up, and to those that
  // come up later. Throws KernelRelayError: Linux before 6.6, no CAP_BPF and CAP_NET_ADMIN, no such
  // interface. Where XDP cannot be had it goes without.
  explicit KernelRelay(XdpOn xdp);
  ~KernelRelay() override;
  KernelRelay(const KernelRelay&) = delete;
  KernelRelay& operator=(const KernelRelay&) = delete;

  std::vector<std::string> interfaces() const;
  std::vector<std::string> xdp_interfaces() const;
  // Where XDP was wanted and could not be had: interface and reason; the first kMostRefusals.
  const std::vector<std::string>& xdp_refusals() const { return xdp_refusals_; }

  void offer(wire::Label label, const Endpoint& local, const Endpoint& target,
             TimePoint now) override;
  void review(TimePoint now, const Target& target) override;
  void hurry(TimePoint now) override;
  TimePoint next_review() const override { return leases_.empty() ? kNever : next_review_; }
  // Packets and bytes (of UDP payload) sent on, labelled packets left to user space, and leases.
  std::map<std::string, std::uint64_t, std::less<>> counters() const override;

  // Their descriptors, for tests; -1: not loaded.
  int program() const { return program_; }
  int xdp_program() const { return xdp_program_; }

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
    OwnedFd link, xdp_link;
  };
  struct Neighbour {
    std::optional<Hop> hop;
    TimePoint until{};
  };

  bool write(wire::Label label, const Lease& lease, TimePoint now, std::uint64_t used);
  std::optional<std::uint64_t> last_used(wire::Label label) const;
  void end(wire::Label label);
  bool renew(wire::Label label, Lease& lease, TimePoint now);
  Way way_to(const Endpoint& local, const Endpoint& target) const;
  bool may_ask(wire::Label label, TimePoint now);
  // To interfaces that are up, and were not before.
  int attach();
  OwnedFd attach_xdp(unsigned index, const char* name);
  // For the program at XDP: nothing where that does not sit, or the neighbour is not known.
  std::optional<Hop> hop_of(const Way& way, TimePoint now);

  struct Close {
    void operator()(bpf_object* object) const;
  };
  const XdpOn xdp_;
  std::unique_ptr<bpf_object, Close> object_;
  int program_ = -1, xdp_program_ = -1, leases_map_ = -1, counts_map_ = -1;
  std::unordered_map<unsigned, Attached> attached_;  // by index
  std::vector<std::string> xdp_refusals_;
  std::map<std::pair<unsigned, IpAddress>, Neighbour> neighbours_;
  std::unordered_map<wire::Label, Lease, LabelHash> leases_;
  std::unordered_map<wire::Label, TimePoint, LabelHash> impossible_;  // until
  TimePoint next_ask_{};
  TimePoint next_review_ = kNever;
  TimePoint next_attach_{};
};

}  // namespace i3
