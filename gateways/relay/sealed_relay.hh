// Owns a box's judgement of sealed packets: whose pass it is, where the packet goes on, and how
// much of that there may be. It has no key of what it judges. Sans-I/O.
#pragma once

#include <cstring>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/token_bucket.hh"
#include "overlay/base/xml/values.hh"
#include "overlay/wire/carriers.hh"
#include "overlay/wire/pass.hh"

namespace i3 {

struct RelayClient {
  PublicKey key;
  std::string name;
  ByteRate rate;  // of the datagrams that leave
};

// Every packet that came is counted in one of these.
struct RelayCounters {
  std::uint64_t passed = 0, passed_bytes = 0;
  std::uint64_t no_pass = 0;      // of nobody who may use this box
  std::uint64_t expired = 0;      // the pass is over, or claims too long a time
  std::uint64_t bad_address = 0;  // not what a pass to its client leads to
  std::uint64_t not_sealed = 0;   // no message of a session
  std::uint64_t loop = 0;         // it would come here again
  std::uint64_t hop_limit = 0;
  std::uint64_t over_rate = 0;         // the box's
  std::uint64_t over_client_rate = 0;  // its client's
  std::uint64_t not_sent = 0;          // no node to send to
  std::uint64_t consents = 0;          // given
  std::uint64_t cookies = 0;           // passed back
};

class SealedRelay {
 public:
  struct Client {
    RelayClient who;
    wire::PassKey key;
    TokenBucket bucket;
    std::uint64_t packets = 0, bytes = 0, over_rate = 0;
  };

  explicit SealedRelay(const Identity& box) : box_(box) {}

  // Who may use it, and how much. Those who stay keep what they have used.
  void set(const std::vector<RelayClient>& clients, const ByteRate& all);

  // The packet as it goes on: with the next ID as it stands, or as its client's pass tells, one
  // copy. Nothing where it ends here; that is counted. The payload stays borrowed.
  std::optional<wire::IdPacket> judge(const wire::IdPacket& packet, TimePoint now, WallTime wall);
  // Of a handshake message that was passed on: where it came from, for the cookie that a receiver
  // under load answers along the tag of whoever it got it from, which is this box.
  struct Source {
    Endpoint node;
    wire::SourceTag tag{};
  };
  void note_source(const wire::IdPacket& packet, const Endpoint& node, TimePoint now);
  // Whom such a cookie is for; nothing if it answers nothing that passed here.
  std::optional<Source> source_of(Bytes cookie, TimePoint now);

  // The answer to a client that asks whether its public ID may lead here; nothing, and counted, for
  // anybody else. What is signed is one of the passes that the client has anyway.
  std::optional<wire::ConsentAnswer> consent(const wire::IdPacket& packet, TimePoint now,
                                             WallTime wall);
  void not_sent() { ++counters_.not_sent, --counters_.passed; }

  const RelayCounters& counters() const { return counters_; }
  const std::vector<Client>& clients() const { return clients_; }
  std::size_t remembered() const { return passes_.size(); }

 private:
  struct HashOfPass {
    std::size_t operator()(const wire::Pass& pass) const {
      std::uint64_t value;
      std::memcpy(&value, pass.code.data(), sizeof value);
      return value;
    }
  };

  Client* client_of(const wire::Pass& pass, WallTime wall);
  void know_hour(std::uint32_t hour, WallTime wall);

  const Identity& box_;
  std::vector<Client> clients_;
  std::optional<TokenBucket> all_;
  ByteRate all_rate_;
  // The passes of all clients, for the hours that came up: at most 27 of them.
  std::unordered_map<wire::Pass, std::size_t, HashOfPass> passes_;
  std::set<std::uint32_t> hours_;
  TokenBucket signatures_{20, 100};
  static constexpr std::size_t kMaxSources = 1024;
  static constexpr Duration kSourceKept = std::chrono::seconds(10);
  struct Kept {
    Source source;
    TimePoint at;
  };
  std::unordered_map<std::uint32_t, Kept> sources_;  // by the sender index of the message
  std::deque<std::pair<std::uint32_t, TimePoint>> by_age_;
  RelayCounters counters_;
};

}  // namespace i3
