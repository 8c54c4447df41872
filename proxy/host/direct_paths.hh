// Owns what is known of the straight ways to one peer.
#pragma once

#include <optional>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/time.hh"

namespace i3 {

// A way straight to the peer that is being tried or was proved (docs/DESIGN.md, decision 21).
struct Candidate {
  Endpoint endpoint;
  std::uint64_t nonce = 0;  // of the challenge under way
  TimePoint sent;
  TimePoint next = kNever;
  unsigned tries = 0;  // challenges since the last answer
  Duration rtt{};      // of the last answer; zero: never answered
  bool told = false;   // the peer named it; else something came from there
};

struct DirectPaths {
  static constexpr std::size_t kMaxCandidates = 12;
  std::vector<Candidate> candidates;
  std::optional<Endpoint> active;
  TimePoint active_heard{};       // when something authenticated last came over the active one
  TimePoint next_round = kNever;  // when all candidates are tried again
  unsigned rounds = 0;            // that found no way, in a row
  TimePoint wanted_since{};       // the first packet, or the loss of the way before
  // Our own NAT gives ports in order: where the peer may find us, and until when that is waited
  // for.
  std::vector<Endpoint> predicted;
  TimePoint sample_until = kNever;
  unsigned samples = 0;  // asked for
  bool sampled = false;
  std::optional<Duration> took{};  // from then to the first proved way

  Candidate* find(const Endpoint& endpoint) {
    for (Candidate& candidate : candidates)
      if (candidate.endpoint == endpoint) return &candidate;
    return nullptr;
  }
};

}  // namespace i3
