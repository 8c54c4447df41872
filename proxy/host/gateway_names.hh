// Owns the names behind gateways: which virtual address stands for (gateway, name) on this host,
// and the questions that gateways have not answered yet.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <variant>

#include "overlay/wire/names.hh"
#include "proxy/host/courier.hh"
#include "proxy/host/rendezvous.hh"

namespace i3 {

// Both ends derive the address of a name from this: where nothing is in the way they come to the
// same one, and packets need no rewriting.
Id gateway_name_id(const PublicKey& gateway, const PublicKey& client, std::string_view name);

// One text for both, for tables.
std::string keyed_name(const PublicKey& key, std::string_view name);

// What a gateway said of a name.
struct GatewayAnswer {
  std::uint8_t rcode = 0;               // of DNS
  std::optional<VirtualIp> ipv4, ipv6;  // as programs here know it
  bool heard = false;                   // the gateway said so, and not that it is not reached
};

struct GatewayNameCounters {
  std::uint64_t asked = 0, answered = 0, failed = 0, timed_out = 0, unknown = 0, no_room = 0,
                stray = 0;
};

// Sans-I/O, a part of Host. Bounded; a name that nobody used for HostOptions::idle is forgotten.
class GatewayNames {
 public:
  static constexpr std::size_t kMaxNames = 16384;
  static constexpr std::size_t kMaxQuestions = 1024;
  static constexpr Duration kFirstRetry = std::chrono::milliseconds(300);
  static constexpr Duration kPatience = std::chrono::milliseconds(4500);

  struct Name {
    PublicKey gateway;
    std::string name;
    AddressPool::Slot slot = AddressPool::kNoSlot;
    VirtualIp ipv4, ipv6;                     // as programs here know it
    std::optional<IpAddress> inner4, inner6;  // as packets inside the session bear it
    TimePoint fresh_until{};                  // may be told without asking
    TimePoint used{}, logged{};

    bool preserves_headers() const {
      return (!inner4 || *inner4 == ipv4.address()) && (!inner6 || *inner6 == ipv6.address());
    }
  };

  GatewayNames(HostParts& parts, Courier& courier, Rendezvous& rendezvous)
      : parts_(parts), courier_(courier), rendezvous_(rendezvous) {}

  // What the name means behind that gateway: known now, or the number that `answered` is called
  // with later, once. `answered` is never called from inside ask().
  std::variant<GatewayAnswer, std::uint64_t> ask(Peer& gateway, std::string_view name,
                                                 TimePoint now);
  std::function<void(std::uint64_t number, const GatewayAnswer& answer)> answered;
  // Hears the same before that: who asks gateways on behalf of a group.
  std::function<void(std::uint64_t number, const GatewayAnswer& answer)> heard;

  // What a gateway said of a name and is still in use; null else.
  Name* find(const PublicKey& gateway, std::string_view name) const;
  // Way out: the name that a program's packet is for; null for other addresses.
  Name* at(const IpAddress& local);
  Peer* gateway_of(const Name& name) const { return parts_.peers.find(name.gateway); }
  // Puts the address that the gateway knows in place of ours; false if it has none of that family.
  bool to_inner(const Name& name, IpPacket& packet) const;
  // Way in: the source that a packet of that peer gets here, where it is a name's and not the
  // peer's own. An error about a name comes from the name, whoever on the way noticed it; for that
  // the source may be changed.
  std::optional<IpAddress> local_source(const Peer& peer, IpPacket& packet, TimePoint now);

  void on_found(const Peer& gateway, const wire::NameFound& found, TimePoint now);
  void on_unknown(Peer& gateway, const wire::UnknownAddress& unknown, TimePoint now);
  // A session stands, or the attempt to open one ended.
  void on_peer(Peer& peer, TimePoint now);
  TimePoint next_deadline() const { return next_; }
  void on_timer(TimePoint now);
  void sweep(TimePoint now);

  // The state log's line is
  //   behind GATEWAY IPV4 IPV6 INNER4 INNER6 USED NAME      '-' for no inner address
  std::string state_lines(TimePoint now) const;
  void restore(std::string_view line, TimePoint now);

  const std::string* name_at(const IpAddress& local) const;
  std::size_t size() const { return by_slot_.size(); }
  const GatewayNameCounters& counters() const { return counters_; }
  void each(const std::function<void(const Name&)>& visit) const;

 private:
  struct Question {
    PublicKey gateway;
    std::string name;
    std::uint64_t number = 0;  // and the nonce
    bool sent = false;
    TimePoint next_try = kNever, deadline{};
    Duration pause = kFirstRetry;
  };
  struct Inner {
    PublicKey gateway;
    IpAddress address;
    bool operator==(const Inner&) const = default;
  };
  struct InnerHash {
    std::size_t operator()(const Inner& inner) const {
      return std::hash<IpAddress>{}(inner.address) ^ std::hash<PublicKey>{}(inner.gateway);
    }
  };

  Name* find_inner(const PublicKey& gateway, const IpAddress& inner) const;
  Question& question(Peer& gateway, std::string_view name, TimePoint now);
  void send(Question& question, TimePoint now);
  void finish(std::uint64_t number, const GatewayAnswer& answer);
  Name* adopt(const Question& question, const wire::NameFound& found);
  Name* add(const PublicKey& gateway, std::string_view name, const AnnouncedAddresses& wished);
  void bind(Name& name, const std::optional<IpAddress>& inner4,
            const std::optional<IpAddress>& inner6);
  void remove(Name& name);
  void make_room();
  void log(Name& name, TimePoint now);
  std::string line(const Name& name, TimePoint now) const;
  GatewayAnswer answer_of(const Name& name) const;

  HostParts& parts_;
  Courier& courier_;
  Rendezvous& rendezvous_;
  std::unordered_map<AddressPool::Slot, std::unique_ptr<Name>> by_slot_;
  std::unordered_map<std::string, Name*> by_name_;
  std::unordered_map<Inner, Name*, InnerHash> by_inner_;
  std::unordered_map<std::uint64_t, Question> questions_;
  std::unordered_map<std::string, std::uint64_t> asked_;  // name to its question
  TimePoint next_ = kNever;
  GatewayNameCounters counters_;
};

}  // namespace i3
