// Owns joining packets of one flow into super-packets for the kernel (TCP and UDP receive offload).
//
// Exactly reversible: cutting a super-packet again (segmenter.hh) gives the very packets that came
// in. So only packets are joined that differ in nothing but length, checksum, IPv4 ID in steps of
// one and TCP sequence in steps of the payload; PSH may stand in the last one. The order within a
// flow is kept.
#pragma once

#include <array>
#include <vector>

#include "proxy/packet/checksum.hh"
#include "proxy/packet/virtio_header.hh"

namespace i3 {

class Coalescer {
 public:
  // The kernel cuts a UDP super-packet into no more than this.
  static constexpr std::size_t kMaxUdpSegments = 64;
  // Of one super-packet of either kind.
  static constexpr std::size_t kMaxParts = 128;
  // IP header without options or extensions, and TCP header with all its options.
  static constexpr std::size_t kMaxHeaders = kIpv6HeaderSize + 60;

  // `udp`: whether the kernel takes UDP super-packets.
  explicit Coalescer(bool udp = true) : udp_(udp) {}

  // Any packet, or what claims to be one; borrowed until clear().
  void add(Bytes packet);
  bool empty() const { return groups_.empty(); }
  // What was added since the last clear(), for each super-packet or lone packet, in an order that
  // keeps each flow's: write(VirtioHeader, Bytes first, parts), where first is the packet's start
  // (all of it for a lone packet) and parts are the payloads that follow.
  template <class Write>
  void each(Write write) {
    for (Group& group : groups_) {
      parts_of_.clear();
      if (group.packets == 1) {
        write(VirtioHeader{}, group.packet, parts_of_);
        continue;
      }
      for (std::uint32_t at = group.first_part; at != kNone; at = parts_[at].next)
        parts_of_.push_back(parts_[at].bytes);
      std::array<std::uint8_t, kMaxHeaders> headers;
      const VirtioHeader header = finish(group, headers);
      write(header, Bytes(headers).first(group.headers), parts_of_);
    }
  }
  void clear();

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::size_t kMaxOpen = 8;  // flows that may still grow
  static constexpr std::size_t kMostPacketBytes = 65535;

  struct Part {
    Bytes bytes;
    std::uint32_t next = kNone;
  };
  struct Group {
    Bytes packet;  // the first one
    std::size_t transport = 0;
    std::size_t headers = 0;  // bytes before the payload; 0: not a packet that others may join
    std::size_t each = 0;     // payload of all but the last
    std::size_t payload = 0;  // of all
    std::uint32_t packets = 1;
    std::uint32_t first_part = kNone, last_part = kNone;
    bool tcp = true;
    bool push = false;      // of the last one
    bool has_flow = false;  // TCP or UDP with ports: transport is set
  };

  bool describe(Group& group) const;
  static bool same_flow(const Group& group, const Group& other);
  static bool continues(const Group& group, const Group& next);
  static bool valid_checksums(const Group& group);
  void append(Group& group, const Group& next);
  void remember(std::uint32_t index);
  void forget(const Group& group);
  void add_part(Group& group, Bytes payload);
  VirtioHeader finish(const Group& group, MutBytes headers) const;

  bool udp_;
  std::vector<Group> groups_;
  std::vector<Part> parts_;
  std::vector<Bytes> parts_of_;
  std::array<std::uint32_t, kMaxOpen> open_{};  // indices of groups_
  std::size_t open_count_ = 0;
};

}  // namespace i3
