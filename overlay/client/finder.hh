// Owns finding the node for one ring position: look-ups, redirects and what to do after failures.
#pragma once

#include "overlay/client/entries.hh"

namespace i3::client {

// A look-up that is not answered yet.
struct PendingLookup {
  static constexpr std::size_t kMaxAsked = 4;
  std::uint64_t nonce = 0;
  std::vector<Endpoint> asked;  // the latest; an answer from any of them counts
  unsigned tries = 0;
  TimePoint next{};
};

// Has a target (the node to insert at), or is on the way to one: a look-up is out, or waits for its
// turn after a failure. A target is looked up again now and then, for a ring changes quietly.
class Finder {
 public:
  static constexpr unsigned kMaxRedirects = 3;
  static constexpr Duration kRecheck = std::chrono::seconds(60);
  static constexpr Duration kAskedApart = std::chrono::seconds(1);

  Finder(Core& core, NodeCache& cache, RingId position)
      : core_(core), cache_(cache), position_(position) {}

  const std::optional<Target>& target() const { return target_; }
  const std::string& trouble() const { return trouble_; }

  // Is to find another position from now on, and does nothing until it is told to.
  void aim(RingId position);
  // Gives the target up and looks up at once.
  void look_up(TimePoint now);
  // Gives the target up, and looks up after a pause that grows with every failure in a row.
  void fail(TimePoint now, std::string why, Duration first = kFirstRetry,
            Duration most = kLastRetry);
  // The target did not answer. The first time the ring is asked at once; as long as it keeps
  // naming that node, the next contacts of its answer get their turn as well.
  void silent(TimePoint now);
  // The target says that another node owns the position.
  void redirect(const std::optional<wire::NodeContact>& contact, TimePoint now);
  // Asks the ring now or soon, and keeps the target meanwhile.
  void ask_again(TimePoint now);
  // The next look-up comes sooner than usual, with growing pauses.
  void recheck_soon(TimePoint now);
  // Nodes that the ring named besides the target, nearest first; not the one that fell silent.
  std::vector<wire::NodeContact> others() const;
  // The target took our trigger, or told its present contact.
  void succeeded(TimePoint now);
  void update(const wire::NodeContact& contact);
  // Forgets pauses: the world may be another one now.
  void hurry(TimePoint now);
  // An entry node came to life: a look-up that waited for one goes out.
  void entry_alive(TimePoint now) {
    if (lookup_ && (lookup_->asked.empty() || lookup_->tries >= 3)) lookup_->next = now;
  }
  void stop();

  enum class Outcome { unsolicited, same, new_target };
  Outcome on_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now);
  void on_timer(TimePoint now, const Entries& entries);
  TimePoint deadline() const;

  // True if the ring named a node with that address for this position.
  bool knows(const Endpoint& address) const;

 private:
  void begin(TimePoint now);
  void ask(TimePoint now, const Entries& entries);
  Outcome choose(TimePoint now);

  Core& core_;
  NodeCache& cache_;
  RingId position_;
  std::optional<Target> target_;
  std::optional<PendingLookup> lookup_;
  std::vector<wire::NodeContact> contacts_;  // of the last answer, and a redirect's
  std::optional<Endpoint> last_silent_;
  TimePoint resume_ = kNever;
  TimePoint recheck_ = kNever;
  TimePoint answered_{};    // when the ring last said something
  unsigned failures_ = 0;   // in a row
  unsigned silences_ = 0;   // in a row
  unsigned redirects_ = 0;  // since the last look-up
  unsigned rechecks_ = 0;   // sooner than usual, in a row
  std::string trouble_;
};

}  // namespace i3::client
