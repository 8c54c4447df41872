// Owns an i3-to-IP gateway (seed 001, 4.4.1): clients ask it for names inside their sessions, get
// an inner address each, and what they send there goes to the real one by the kernel's own NAT.
#pragma once

#include <boost/asio/io_context.hpp>
#include <unordered_map>

#include "gateways/kind.hh"
#include "gateways/to_ip/inner_names.hh"
#include "gateways/to_ip/permission.hh"
#include "gateways/to_ip/resolver.hh"
#include "overlay/base/token_bucket.hh"
#include "overlay/wire/names.hh"

namespace i3 {

class Worker;

struct ToIpCounters {
  std::uint64_t questions = 0, answered = 0, name_refused = 0, address_refused = 0,
                too_many_questions = 0, no_room = 0, passed_in = 0, passed_out = 0, closed_port = 0,
                foreign = 0, unknown_address = 0, park_full = 0, park_lost = 0, install_failed = 0;
};

// A question: 1 may that client ask it  2 known and fresh, or DNS  3 may it have that address  4
// the kernel's table, and the answer. A packet in: 1 whose inner address  2 open?  3 TUN; the
// kernel looks once more and translates. A packet out comes back from the kernel with the inner
// address.
class ToIp final : public GatewayKind {
 public:
  static constexpr std::size_t kMaxUnderWay = 4096;                        // names asked of DNS
  static constexpr std::uint32_t kLeastLifetime = 5, kMostLifetime = 300;  // seconds

  ToIp(Worker& worker, const I3ToIpSettings& settings, std::string_view state);
  ~ToIp() override;

  std::optional<Inbound::Result> from_peer(Peer& peer, IpPacket& packet, MutBytes answer,
                                           TimePoint now) override;
  Peer* to_peer(IpPacket& packet, TimePoint now) override;
  bool on_control(Peer& peer, Bytes plaintext, TimePoint now) override;
  void start() override;
  void reloaded(const GatewaySettings& settings) override;
  void flush() override;
  TimePoint next_deadline() const override {
    const bool gathers = !sending_ && !changes_.empty();
    return gathers ? std::min(next_sweep_, next_request_) : next_sweep_;
  }
  void on_timer() override;
  std::string state_lines() const override;
  void add_status(Json& status) override;
  void add_metrics(MetricsText& text) override;

 private:
  void on_question(Peer& peer, const wire::NameQuestion& question, TimePoint now);
  void on_resolved(const PublicKey& client, const std::string& name, const Resolved& resolved);
  // Takes the first address of each family that the client may have. The rcode of the answer.
  std::uint8_t adopt(const PublicKey& client, const std::string& name, const Resolved& resolved,
                     TimePoint now);
  bool take(InnerName& name, bool four, const std::vector<IpAddress>& addresses);
  void say(const PublicKey& client, std::uint64_t nonce, std::uint8_t rcode, const InnerName* name,
           TimePoint now);
  void say_unknown(Peer& peer, const IpAddress& inner, TimePoint now);
  std::optional<Inbound::Result> refuse(const IpPacket& packet, MutBytes answer);
  bool is_open(const InnerName::Side& side, const IpPacket& packet) const;

  // The kernel's table.
  void install(InnerName& name);
  void uninstall(InnerName& name);
  std::optional<std::uint16_t> number_of(const NatOpens& opens);
  void send_changes();
  void on_changed(const std::vector<NatName>& sent, bool ok, const std::string& why);
  void release_parked(InnerName& name, TimePoint now);
  void judge_again();

  bool is_own(const IpAddress& address);
  void log(InnerName& name, TimePoint now);

  Worker& worker_;
  Permissions permissions_;
  InnerNames names_;
  std::unique_ptr<Resolver> resolver_;
  std::vector<Endpoint> servers_;
  std::unordered_map<std::string, std::uint64_t> under_way_;  // client and name, to the last nonce
  std::unordered_map<PublicKey, TokenBucket> allowances_;     // of clients' questions
  TokenBucket unknowns_;
  std::vector<NatOpens> opens_;                     // by number
  std::unordered_map<IpAddress, NatName> changes_;  // to be sent to the parent
  bool sending_ = false, one_by_one_ = false, retained_ = false;
  std::vector<IpAddress> own_;
  std::vector<IpPrefix> tunnels_;  // of other daemons here
  TimePoint own_read_{};
  TimePoint next_sweep_ = kNever, next_request_{};
  ToIpCounters counters_;
};

}  // namespace i3
