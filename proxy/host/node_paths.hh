// Owns what is known of the ways through the nodes of one peer's return path.
#pragma once

#include <array>
#include <optional>

#include "overlay/base/time.hh"
#include "overlay/wire/hello.hh"

namespace i3 {

// The way by one node. Until a challenge over it was answered, only so much goes there: a peer
// could name anybody's node.
struct NodeWay {
  static constexpr std::size_t kBudget = 32 * 1024;
  bool proved = false;
  bool silent = false;  // left a challenge unanswered, and nothing was answered since
  bool gone = false;    // the node says that it has no such label
  std::size_t budget = kBudget;
  std::uint64_t nonce = 0;      // of the challenge under way; 0: none is
  TimePoint asked{};            // when that was sent first
  TimePoint confirmed{};        // when an answer came last
  TimePoint next_try = kNever;  // of a challenge that nothing in use depends on
  unsigned tries = 0;           // since the last answer
  Duration rtt{};               // smoothed; zero: never answered
};

struct NodePaths {
  std::array<NodeWay, wire::ReturnPath::kMaxNodes> ways;  // as the nodes of the return path
  std::size_t at = 0;                                     // the one in use; beyond the nodes: by ID
  bool used = false;          // something went that way since the last challenge over it
  TimePoint next = kNever;    // when they are to be looked after
  TimePoint checked{};        // when they were last
  std::uint64_t changes = 0;  // times that another one was taken because one fell silent
};

// While packets go by a node the way is asked so often.
inline constexpr Duration kWayCheckEvery = std::chrono::milliseconds(200);

}  // namespace i3
