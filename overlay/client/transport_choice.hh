// Owns the choice between UDP and a tunnel over TLS: whether UDP gets through, and when to change.
#pragma once

#include <string_view>

#include "overlay/base/time.hh"

namespace i3 {

// Sans-I/O: facts and the time come in, wishes go out. After every call the driver looks at way()
// and wants_tunnel(), and calls on_timer at or after deadline().
//
//   proving --answer--> good --silence, or a quiet check unanswered--> proving
//      | 1.2 s without an answer, and a tunnel stands                     ^
//      v                                                                  |
//   blocked --answer--> returning --answers to 3 rounds in a row--> good -+
//      ^                    | a round unanswered
//      +--------------------+
class TransportChoice {
 public:
  enum class Mode { automatic, udp, tls };
  enum class Way { udp, tls };
  enum class State { proving, good, blocked, returning };

  // Something was sent by UDP, and for so long nothing came at all: UDP is in doubt.
  static constexpr Duration kSilence = std::chrono::milliseconds(600);
  static constexpr Duration kDoubtAtMostEvery = std::chrono::seconds(1);
  // A host that sends nothing still asks this often.
  static constexpr Duration kQuietCheck = std::chrono::seconds(20);
  // In doubt: a tunnel is opened ahead after this long, and used after that.
  static constexpr Duration kDialAfter = std::chrono::milliseconds(300);
  static constexpr Duration kPatience = std::chrono::milliseconds(1200);
  // While blocked, and while an answer is being confirmed.
  static constexpr Duration kAskBlocked = std::chrono::seconds(5);
  static constexpr Duration kAskWithoutTunnel = std::chrono::milliseconds(500);
  static constexpr Duration kRound = std::chrono::milliseconds(500);
  // Rounds that must be answered before UDP is used again; doubled each time that UDP did not last.
  static constexpr unsigned kRounds = 3, kMostRounds = 60;
  static constexpr Duration kLasted = std::chrono::seconds(60);
  // The tunnel stays open after the return, for what is still on its way through it.
  static constexpr Duration kLinger = std::chrono::seconds(10);

  explicit TransportChoice(Mode mode)
      : mode_(mode), way_(mode == Mode::tls ? Way::tls : Way::udp) {}

  void start(TimePoint now);
  // Other addresses, or woken up: whatever was known of UDP is not any more.
  void network_changed(TimePoint now);
  void set_mode(Mode mode, TimePoint now);

  // True: udp_sent() would tell nothing new.
  bool waits_for_word() const { return unheard_since_ != kNever; }
  void udp_sent(TimePoint now) {
    if (unheard_since_ == kNever) unheard_since_ = now;
  }
  void udp_received() { unheard_since_ = kNever; }
  // A node answered a probe by UDP, and it was checked.
  void udp_answered(TimePoint now);
  void tunnel_opened(TimePoint now);
  void tunnel_lost(TimePoint now);

  TimePoint deadline() const;
  // True: send a round of probes by UDP now.
  bool on_timer(TimePoint now);

  Way way() const { return way_; }
  bool wants_tunnel() const { return wants_tunnel_; }
  State state() const { return state_; }
  // A sentence for status.
  std::string_view reason() const;

 private:
  void prove(TimePoint now);
  void become_good(TimePoint now);
  void become_blocked(TimePoint now);
  TimePoint doubt_at() const;
  void settle(TimePoint now);

  Mode mode_;
  Way way_;
  State state_ = State::proving;
  bool wants_tunnel_ = false;
  bool tunnel_ = false;
  bool answered_once_ = false;
  TimePoint since_{};  // of the state
  TimePoint next_probe_ = kNever;
  unsigned probes_ = 0;            // since then
  bool heard_this_round_ = false;  // returning
  unsigned good_rounds_ = 0, needed_ = kRounds;
  TimePoint unheard_since_ = kNever;  // the first datagram sent since one came
  TimePoint last_doubt_ = TimePoint::min();
  TimePoint returned_ = TimePoint::min();
  TimePoint linger_until_ = TimePoint::min();
};

}  // namespace i3
