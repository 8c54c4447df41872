// Owns what simulated nodes send, counted by kind of message.
#pragma once

#include <array>
#include <map>
#include <string>

#include "overlay/base/bytes.hh"
#include "sim/network.hh"

namespace i3::sim {

class Traffic {
 public:
  struct Count {
    std::uint64_t packets = 0, bytes = 0;  // UDP payload
    // With the headers of IPv4 and UDP, which a byte count of a real network shows.
    std::uint64_t with_headers() const { return bytes + 28 * packets; }
    Count operator-(const Count& other) const {
      return {packets - other.packets, bytes - other.bytes};
    }
  };
  using ByKind = std::map<std::string, Count>;

  void on_sent(Bytes message) {
    if (message.size() < 4) return;
    Count& count = counts_[message[1]][message[2] % 32];
    ++count.packets;
    count.bytes += message.size();
  }
  Count all() const;
  ByKind by_kind() const;

 private:
  std::array<std::array<Count, 32>, 256> counts_{};  // by type and kind
};

// What was sent between two readings.
Traffic::ByKind difference(const Traffic::ByKind& later, const Traffic::ByKind& earlier);

}  // namespace i3::sim
