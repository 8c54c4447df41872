// Owns asking nodes what keys said of themselves, and leaving there what this host knows of that.
#pragma once

#include <map>

#include "overlay/client/entries.hh"
#include "overlay/wire/records.hh"

namespace i3::client {

// 1 look up both public IDs of the key  2 ask the owner of each, and the nodes after it where that
// is silent  3 what a node lacks that the host believes is put there
class Records {
 public:
  static constexpr std::size_t kMaxSubjects = 8192;
  static constexpr std::size_t kMaxTasks = 8;
  static constexpr Duration kAskEvery = std::chrono::minutes(30);
  static constexpr Duration kPutEvery = std::chrono::minutes(20);  // a node keeps it for 60
  static constexpr Duration kAskedApart = std::chrono::seconds(15);

  Records(Core& core, const Entries& entries, NodeCache& cache)
      : core_(core), entries_(entries), cache_(cache) {}

  // Asked about now, one after the other, and every half an hour from then on; replaces what was
  // watched before.
  void watch(const std::vector<PublicKey>& keys, TimePoint now);
  // Asks about one key, unless that was done a moment ago.
  void ask(const PublicKey& key, TimePoint now);
  // What the host believes: put where an answer lacks it, and with `publish` every 20 minutes.
  void keep(const std::vector<KeptRecord>& records, TimePoint now);
  // How many nodes said, the last time, that they keep what is published of that key.
  std::size_t nodes_with(const PublicKey& key) const;

  // False: unsolicited.
  bool on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now);
  bool on_challenge(const Endpoint& from, const wire::Challenge& challenge, TimePoint now);
  bool on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now);
  bool on_kept(const Endpoint& from, const wire::RecordKept& kept, TimePoint now);
  bool on_records(const Endpoint& from, const wire::Records& records, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint deadline() const;

 private:
  struct Subject {
    bool watched = false;
    TimePoint next_ask = kNever, next_put = kNever;
    TimePoint asked{};
    std::vector<KeptRecord> kept;
    std::size_t nodes = 0;
  };
  struct Exchange {
    Endpoint to;
    std::uint64_t nonce = 0;
    wire::Cookie cookie{};
    unsigned tries = 0, challenges = 0;
    TimePoint next = kNever;  // kNever: over
  };
  // One of the key's two places.
  struct Leg {
    std::uint64_t nonce = 0;
    Endpoint asked;
    unsigned tries = 0;
    TimePoint next = kNever;  // of the look-up
    std::vector<Endpoint> candidates;
    std::vector<Exchange> exchanges;
    bool over() const;
  };
  struct Task {
    PublicKey key;
    std::optional<KeyRecord> put;  // else it asks
    std::array<Leg, 2> legs;
    std::vector<KeyRecord> found;
    bool lacking = false;
    std::size_t nodes = 0;
  };

  void begin(const PublicKey& key, std::optional<KeyRecord> put, TimePoint now);
  void begin_puts(const PublicKey& key, TimePoint now);
  void look_up(const Task& task, Leg& leg, std::size_t which, TimePoint now);
  bool open(const Task& task, Leg& leg, TimePoint now);
  void send(const Task& task, Exchange& exchange, TimePoint now);
  void on_time(Task& task, Leg& leg, std::size_t which, TimePoint now);
  void finish_ended(TimePoint now);
  void begin_due(TimePoint now);
  void find_next();
  // The exchange with that nonce and node, if it is under way.
  template <class Use>
  bool with(const Endpoint& from, std::uint64_t nonce, Use&& use);

  Core& core_;
  const Entries& entries_;
  NodeCache& cache_;
  std::map<PublicKey, Subject> subjects_;
  std::vector<Task> tasks_;
  TimePoint next_due_ = kNever;  // of the subjects
};

}  // namespace i3::client
