// Owns that this host's public IDs lead to a box: triggers whose target is a stack of IDs, the
// box's consent to them, and the ID behind the box where what comes by them arrives (seed
// 001, 2.4, 6.4).
#pragma once

#include "proxy/host/stops.hh"

namespace i3 {

// Whoever contacts this host by a public ID comes by the box, with the first message already, and
// need not know of it. Without the box's consent the public triggers do not stand.
class PublicLead {
 public:
  PublicLead(HostParts& parts, Stops& stops) : parts_(parts), stops_(stops) {}

  // By which box from now on; nothing: straight. `client` is this host's, and outlives this.
  void settle(Client& client, const std::optional<PublicKey>& box, TimePoint now);
  void on_answer(const wire::ConsentAnswer& answer, TimePoint now);
  void on_timer(TimePoint now);
  TimePoint next_deadline() const { return next_; }

 private:
  struct Asked {
    std::uint64_t nonce = 0;  // 0: answered
    std::vector<wire::Consent> stack;
  };

  void ask(TimePoint now);
  void lead(TimePoint now);

  HostParts& parts_;
  Stops& stops_;
  Client* client_ = nullptr;
  std::optional<PublicKey> box_;
  Id end_;                  // behind the box
  Id pass_;                 // that consent is asked for
  std::uint32_t hour_ = 0;  // when it ends; 0: none was asked for
  std::array<Asked, std::size(kPublicSalts)> asked_;
  Duration pause_{};
  TimePoint next_ = kNever;
};

inline constexpr Duration kFirstAskPause = std::chrono::milliseconds(250);
inline constexpr Duration kLastAskPause = std::chrono::seconds(5);
// How often it is looked whether the pass is an old one.
inline constexpr Duration kLookAtPass = std::chrono::minutes(5);

}  // namespace i3
