// Owns the reasons for which a host drops or refuses something; each is a counter of that name.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace i3 {

enum class Verdict : std::uint8_t {
  passed,
  parked,           // waits for a session
  malformed,        // no IP packet, or no overlay message
  foreign_source,   // an application sent from an address that is not ours
  no_such_address,  // a virtual address that nobody has
  multicast,        // not carried
  too_big,          // larger than the path takes; the sender was told
  absent,           // the peer cannot be reached; the sender was told
  park_full,        // too many packets wait for that peer
  not_allowed,      // no <allow> line lets it in
  stranger,         // first message of somebody we do not know
  no_session,       // nothing to seal with, though there was a moment ago
  unknown_control,  // in-session message of an unknown or malformed kind
  too_many_peers,   // the peer table is full
  no_address,       // the pool is empty
  unexpected,       // an answer nobody asked for
  redirected,       // came without the middle-box that it has to come through; was told which
  no_leave,         // a middle-box spoke for a host that gave no leave, or not to this one
  not_inspected,    // the middle-box let no packet pass here
  revoked,          // first message of a key that is not to be believed any more
  too_many_notes,   // of gateways about their clients
  past_the_box,     // came round the box by which that peer's packets have to come
  fragment_held,    // came before the first one of its packet, which decides
  kCount,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Verdict::kCount)>
    kVerdictNames = {"passed",          "parked",         "malformed",     "foreign_source",
                     "no_such_address", "multicast",      "too_big",       "absent",
                     "park_full",       "not_allowed",    "stranger",      "no_session",
                     "unknown_control", "too_many_peers", "no_address",    "unexpected",
                     "redirected",      "no_leave",       "not_inspected", "revoked",
                     "too_many_notes",  "past_the_box",   "fragment_held"};

class VerdictCounters {
 public:
  Verdict count(Verdict verdict) {
    ++counts_[static_cast<std::size_t>(verdict)];
    return verdict;
  }
  std::uint64_t of(Verdict verdict) const { return counts_[static_cast<std::size_t>(verdict)]; }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Verdict::kCount)> counts_{};
};

}  // namespace i3
