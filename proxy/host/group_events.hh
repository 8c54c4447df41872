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
  // Who stands for an anycast group, where middle-boxes are one. `stand_in`: nothing while nobody
  // is known, and then somebody is looked for. `stands`: it answered, and was not found silent.
  virtual bool is_group(const PublicKey& key) const = 0;
  virtual std::optional<PublicKey> stand_in(const PublicKey& group, TimePoint now) = 0;
  virtual bool stands(const PublicKey& group, const PublicKey& member, TimePoint now) const = 0;
  virtual bool asking(const PublicKey& group) const = 0;
  virtual void doubt(const PublicKey& group, const PublicKey& member, TimePoint now) = 0;
  virtual void lost(const PublicKey& member, TimePoint now) = 0;
  // A peer was found absent.
  virtual void on_absent(Peer& peer, TimePoint now) = 0;
};

}  // namespace i3
