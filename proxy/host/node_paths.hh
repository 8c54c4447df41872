// Owns what is known of the ways through the nodes of one peer's return path.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "overlay/base/time.hh"
#include "overlay/wire/hello.hh"

namespace i3 {

// The round trip over a way, smoothed, and how much it varies (as RFC 6298 has it).
struct RoundTrip {
  Duration smoothed{};  // zero: never measured
  Duration varies{};

  void add(Duration sample) {
    if (smoothed == Duration{}) {
      smoothed = sample;
      varies = sample / 2;
      return;
    }
    const Duration off = sample < smoothed ? smoothed - sample : sample - smoothed;
    varies = (varies * 3 + off) / 4;
    smoothed = (smoothed * 3 + sample) / 4;
  }
};

// Challenges under way over one way, the oldest first. One follows the other without waiting, so
// that silence shows as early over a long way as over a short one.
class Challenges {
 public:
  static constexpr std::size_t kMost = 6;

  bool none() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  // When the oldest was sent.
  TimePoint since() const { return asked_[0].at; }
  // The number to send. When as many are under way as fit, the last one's is sent again: a late
  // answer to any of them counts.
  std::uint64_t next(std::uint64_t fresh, TimePoint now) {
    if (count_ < kMost)
      asked_[count_++] = {fresh, now, true};
    else
      asked_[count_ - 1].once = false;
    return asked_[count_ - 1].nonce;
  }
  // True if it is one of them; what was sent before it is forgotten too. The round trip is zero
  // where the number went out more than once.
  bool answered(std::uint64_t nonce, TimePoint now, Duration& round_trip) {
    std::size_t at = 0;
    while (at < count_ && asked_[at].nonce != nonce) ++at;
    if (at == count_) return false;
    round_trip =
        asked_[at].once ? std::max<Duration>(now - asked_[at].at, Duration{1'000}) : Duration{};
    for (std::size_t i = at + 1; i < count_; ++i) asked_[i - at - 1] = asked_[i];
    count_ -= at + 1;
    return true;
  }
  void forget() { count_ = 0; }

 private:
  struct Asked {
    std::uint64_t nonce = 0;
    TimePoint at{};
    bool once = true;
  };
  std::array<Asked, kMost> asked_;
  std::size_t count_ = 0;
};

// The way by one node. Until a challenge over it was answered, only so much goes there: a peer
// could name anybody's node.
struct NodeWay {
  static constexpr std::size_t kBudget = 32 * 1024;
  bool proved = false;
  bool silent = false;  // left a challenge unanswered, and nothing was answered since
  bool gone = false;    // the node says that it has no such label
  std::size_t budget = kBudget;
  Challenges asked;
  TimePoint confirmed{};        // when an answer came last
  TimePoint next_try = kNever;  // of a challenge that nothing in use depends on
  unsigned tries = 0;           // since the last answer
  RoundTrip round_trip;
};

// What goes a second way while the one in use is in doubt: enough for programs that say little,
// next to nothing of a bulk transfer.
struct SecondWay {
  static constexpr std::size_t kBudget = 16 * 1024;
  static constexpr Duration kRest = std::chrono::seconds(1);
  std::optional<std::size_t> at;
  std::size_t budget = 0;
  TimePoint again{};  // not filled before
};

struct NodePaths {
  std::array<NodeWay, wire::ReturnPath::kMaxNodes> ways;  // as the nodes of the return path
  std::size_t at = 0;                                     // the one in use; beyond the nodes: by ID
  SecondWay second;
  bool used = false;          // something went that way since the last challenge over it
  TimePoint next = kNever;    // when they are to be looked after
  TimePoint checked{};        // when the one in use was asked last
  std::uint64_t changes = 0;  // times that another one was taken because one fell silent
};

// While packets go by a node the way is asked so often; more rarely where a third of its round trip
// is longer, so that all that is under way has room.
inline constexpr Duration kWayCheckEvery = std::chrono::milliseconds(100);

}  // namespace i3
