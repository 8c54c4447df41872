// Owns refreshing: one message per node keeps all our triggers there, and tells when it is dead or
// has other triggers than we believe.
#pragma once

#include <functional>

#include "overlay/client/core.hh"

namespace i3::client {

class Keeper {
 public:
  static constexpr std::size_t kMaxNodes = 16;
  static constexpr unsigned kTries = 3;
  static constexpr Duration kApart = std::chrono::milliseconds(500);
  static constexpr Duration kAskedApart = std::chrono::seconds(3);  // by hurry()
  static constexpr Duration kShortest = std::chrono::seconds(1);    // between two refreshes

  explicit Keeper(Core& core) : core_(core) {}

  // How many triggers of ours a node surely holds, and may hold at most.
  struct Count {
    std::size_t least = 0;
    std::size_t most = 0;
    bool wanted = false;  // there are some that it is to go on holding
  };
  using CountAt = std::function<Count(const Endpoint&)>;

  // What the triggers at a node need.
  struct Need {
    enum class What {
      lost,           // the node fell silent
      insert_again,   // it lacks some of ours, or does not know our token
      not_owner,      // others own some of ours by now
      insert_singly,  // it holds some that we no longer know: without refreshes those expire
    };
    What what{};
    Endpoint address;
  };

  void inserted(const Target& at, const std::array<std::uint8_t, 16>& token,
                std::uint32_t lifetime_ms, TimePoint now);
  void drop(const Endpoint& address);
  void clear() { nodes_.clear(); }
  // Refreshes now, or as soon as the last answer is old enough: everywhere or at one node.
  void hurry(TimePoint now, const std::optional<Endpoint>& only = std::nullopt);

  std::vector<Need> on_timer(TimePoint now, const CountAt& count_at);
  // False: unsolicited. `need` is set if there is one.
  bool on_refreshed(const Endpoint& from, const wire::Refreshed& refreshed, const CountAt& count_at,
                    TimePoint now, std::optional<Need>& need);
  bool on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now,
                  std::optional<Need>& need);
  TimePoint deadline() const;

 private:
  struct Node {
    Target at;
    std::array<std::uint8_t, 16> token{};
    Duration lifetime{};
    TimePoint next{};
    std::uint64_t nonce = 0;  // 0: no refresh is out
    unsigned tries = 0;
    TimePoint answered{};
    Count when_sent;
    TimePoint strangers_until{};  // until then refreshing would keep triggers we do not know
  };

  Duration interval(const Node& node);
  Node* awaiting(const Endpoint& from, std::uint64_t nonce);

  Core& core_;
  std::vector<Node> nodes_;
};

}  // namespace i3::client
