// Owns what a host tells whoever keeps its groups (groups.hh).
#pragma once

#include "overlay/wire/group.hh"
#include "overlay/wire/host_messages.hh"
#include "proxy/host/peer.hh"

namespace i3 {

class GroupEvents {
 public:
  virtual ~GroupEvents() = default;
  // Before a packet goes to local programs; may be changed in place. False: it does not go.
  virtual bool to_program(MutBytes packet) = 0;
  // An ID packet and an answer along a tag of the groups' kinds.
  virtual void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) = 0;
  virtual void on_answer(Bytes payload, TimePoint now) = 0;
  virtual void on_forwarded(std::uint64_t nonce, const wire::Forwarded& forwarded,
                            TimePoint now) = 0;
  virtual void on_not_present(std::uint64_t nonce, TimePoint now) = 0;
  // A peer was found absent.
  virtual void on_absent(Peer& peer, TimePoint now) = 0;
};

}  // namespace i3
