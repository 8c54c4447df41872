// Owns one member of the overlay, without any I/O: datagrams in, datagrams out.
#pragma once

#include <functional>
#include <memory>

#include "overlay/chord/chord.hh"
#include "overlay/node/counters.hh"
#include "overlay/node/passages.hh"
#include "overlay/node/return_table.hh"
#include "overlay/node/ring_link.hh"
#include "overlay/node/source_limits.hh"
#include "overlay/triggers/admission.hh"
#include "overlay/triggers/record_table.hh"
#include "overlay/wire/host_messages.hh"
#include "overlay/wire/reach.hh"

namespace i3 {

struct NodeCoreSettings {
  // Its addresses as others are told them, its k and TLS port; the key is the identity's. Without
  // an address the node learns one from what an entry node observes.
  wire::NodeContact contact;
  // Asked before a learned address is believed: is it one of this machine's own? A node behind a
  // NAT cannot be reached by the rest of the ring.
  std::function<bool(const IpAddress&)> is_local;
  bool have_v4 = true, have_v6 = false;  // families that it can send to
  std::vector<ChordSeed> join;
  ChordSettings chord;
  TriggerLimits triggers;
  RecordTable::Limits records;
  SourceLimitSettings sources;
  std::size_t most_returns = 65'536;
  std::size_t most_passages = 65'536;
  std::optional<PublicKey> operator_key;
  std::optional<wire::Membership> membership;
};

class NodeIo {
 public:
  virtual ~NodeIo() = default;
  // `message` is borrowed for the call. Must not call back into the core.
  virtual void send(const Endpoint& to, Bytes message) = 0;
  // A second port of that family, by which hosts learn what their NATs do; 0 where there is none.
  virtual std::uint16_t other_port(const IpAddress&) { return 0; }
  // From there.
  virtual void send_other(const Endpoint&, Bytes) {}
};

class NodeCore final : private ChordOutput {
 public:
  static constexpr std::size_t kMostLookups = 1024;

  // Everything given by reference must outlive the core.
  NodeCore(NodeCoreSettings settings, const Identity& identity, Random& random, Log& log,
           NodeIo& io);
  ~NodeCore() override;

  void start(TimePoint now);
  void leave(TimePoint now);

  // What becomes of a datagram. `forward`: the caller sends it on to `to`, byte for byte. All else
  // is done, and what is to be sent went through NodeIo.
  struct Verdict {
    bool forward = false;
    Endpoint to;
  };
  Verdict on_datagram(const Endpoint& from, Bytes message, TimePoint now, WallTime wall);
  // Has the memory fetched that on_datagram will need for a labelled packet. Called for all
  // datagrams of a batch before the first of them, it hides what a table of a million rows costs.
  // Inline, for gcc 12 drops calls of functions that do nothing but this.
  [[gnu::always_inline]] void prefetch(Bytes message) const {
    constexpr auto kLabelled = static_cast<std::uint8_t>(wire::Type::labelled);
    if (message.size() < wire::kLabelledSize || message[1] != kLabelled) return;
    triggers_.prefetch(Reader(message.subspan(wire::kHeaderSize)).u32());
  }

  // What came to the second port.
  void on_other_port(const Endpoint& from, Bytes message, TimePoint now);

  TimePoint next_deadline() const;
  void on_timer(TimePoint now, WallTime wall);

  // True once the node owns a part of a ring.
  bool ready() const { return chord_ && chord_->member(); }
  // Nothing before an address is known.
  const Chord* chord() const { return chord_.get(); }
  // Without an address until one is known.
  const wire::NodeContact& contact() const { return settings_.contact; }
  bool learning_address() const { return !chord_; }
  // Why a learned address was refused; empty if none was.
  const std::string& address_problem() const { return address_problem_; }
  const TriggerTable& triggers() const { return triggers_; }
  const RecordTable& records() const { return records_; }
  // See TriggerTable::unlimited.
  std::optional<Endpoint> unlimited(wire::Label label, TimePoint now) const {
    return triggers_.unlimited(label, now);
  }
  // Limits that may change while running.
  void set_limits(const TriggerLimits& limits) { triggers_.set_limits(limits); }
  // All counters, those of the fast path included.
  std::map<std::string, std::uint64_t, std::less<>> counters() const;

 private:
  struct Packet;
  struct WaitingLookup {
    std::uint64_t nonce;
    RingId position;
    Endpoint from;
  };

  // What may still go to the sender of the ring message that is being answered, whose address may
  // be forged: no more than came.
  struct Answering {
    Endpoint to;
    std::size_t left = 0;
  };

  // node_core.cc
  void send(const wire::NodeContact& to, wire::RingKind kind, Bytes body,
            const wire::NodeContact* via) override;
  void probe(const Endpoint& to, std::uint64_t nonce) override;
  void found(std::uint64_t token, const std::vector<wire::NodeContact>& contacts) override;
  void count(std::string_view what) override { counters_.add(what); }
  void learn_address(TimePoint now);
  void begin_ring(TimePoint now);
  Verdict relay(const Endpoint& from, Bytes message, TimePoint now);
  void pass_on(const Endpoint& from, Bytes message, wire::Label label, TimePoint now);
  void on_no_label(const Endpoint& from, Bytes message);
  void on_ring(const Endpoint& from, Bytes message, TimePoint now, WallTime wall);
  void take_ring(const Endpoint& from, const wire::RingMessage& outer, std::size_t size,
                 TimePoint now, WallTime wall);
  std::optional<wire::RingMessage> open_ring(const Endpoint& from, Bytes message, TimePoint now,
                                             WallTime wall);
  void on_relay(const wire::NodeContact& sender, Bytes body, TimePoint now);
  template <class Message>
  void answer(const Endpoint& to, const Message& message) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    message.write(writer);
    assert(writer.ok());
    io_.send(to, writer.written());
  }

  // host_requests.cc
  void on_probe(const Endpoint& from, Bytes message, TimePoint now);
  void on_probe_reply(const Endpoint& from, Bytes message, TimePoint now, WallTime wall);
  void on_lookup(const Endpoint& from, Bytes message, TimePoint now);
  void on_insert(const Endpoint& from, Bytes message, TimePoint now, WallTime wall);
  void on_refresh(const Endpoint& from, Bytes message, TimePoint now, WallTime wall);
  void refuse(const Endpoint& to, std::uint64_t nonce, wire::Refusal reason,
              const std::optional<wire::NodeContact>& owner = std::nullopt);
  bool ring_ready() const { return chord_ && chord_->member(); }

  // chains.cc
  PacketSource through(const PacketSource& source, const ChainStep& step, std::size_t size,
                       TimePoint now);
  // More steps than a packet has hops are somebody's doing: the answer ends there.
  static constexpr unsigned kMostSteps = 2 * wire::kDefaultHops;
  void answer_arrived(const wire::SourceTag& origin, Bytes message, TimePoint now,
                      unsigned steps_left = kMostSteps);
  void pass_back(const PacketSource& source, Bytes message, TimePoint now,
                 unsigned steps_left = kMostSteps);
  void dead_end(const ReturnTable::Way& way, const wire::NotPresent& absent, Bytes message,
                TimePoint now, unsigned steps_left);

  // reach_requests.cc
  void on_reach(const Endpoint& from, Bytes message, TimePoint now);
  void on_reach_for(Bytes body, TimePoint now);
  void on_step(const Endpoint& from, Bytes message, TimePoint now);
  std::optional<wire::NodeContact> other_member(const IpAddress& family) const;
  bool valid_reach_cookie(const wire::Reach& reach, TimePoint now) const;
  wire::ReachSeen seen(const wire::Reach& reach, const Endpoint& from, TimePoint now) const;

  // record_requests.cc
  void on_record_put(const Endpoint& from, Bytes message, TimePoint now);
  void on_record_ask(const Endpoint& from, Bytes message, TimePoint now);
  bool holds_records_of(const PublicKey& key) const;

  // id_packets.cc
  void on_host_packet(const Endpoint& from, Bytes message, TimePoint now);
  void on_forward(const wire::NodeContact& sender, Bytes body, std::size_t size, TimePoint now);
  // `from` is where the member that replies was seen.
  void on_reply(const Endpoint& from, const wire::NodeContact& sender, Bytes body, TimePoint now);
  void open_passage(const Endpoint& from, const wire::NodeContact& sender,
                    const wire::ReplyBody& reply, TimePoint now);
  void on_returned(const Endpoint& from, Bytes message, TimePoint now);
  void route(Packet packet, TimePoint now);
  void deliver_all(const Packet& packet, std::span<const TriggerTable::Match> matches,
                   TimePoint now);
  void absent(Packet packet, TimePoint now);
  void hand_over(Packet packet, std::uint8_t left, TimePoint now);
  void forward(const Packet& packet, const RingPeer& next, std::uint8_t hop_limit, TimePoint now);
  template <class Message>
  void tell_source(const Packet& packet, const Message& message, TimePoint now);

  NodeCoreSettings settings_;
  const Identity& identity_;
  Random& random_;
  Log& log_;
  NodeIo& io_;
  std::unique_ptr<Chord> chord_;
  TriggerTable triggers_;
  Admission admission_;
  RecordTable records_;
  RingLink link_;
  ReturnTable returns_;
  Passages passages_;
  SourceLimits limits_;
  std::array<std::uint8_t, 32> reach_secret_;
  TokenBucket reach_limit_{50, 100};  // what members may have us send to hosts
  Counters counters_;
  std::optional<Answering> answering_;
  TimePoint now_{};  // of the latest datagram or timer
  std::uint64_t relayed_packets_ = 0, relayed_bytes_ = 0;

  std::unordered_map<std::uint64_t, WaitingLookup> lookups_;
  std::uint64_t next_token_ = 1;

  std::uint64_t learn_nonce_ = 0;
  unsigned learn_tries_ = 0;
  TimePoint learn_next_ = kNever;
  std::string address_problem_;
};

}  // namespace i3
