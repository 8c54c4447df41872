// Owns the way in, from an opened transport message to the TUN.
#pragma once

#include "proxy/host/early_fragments.hh"
#include "proxy/host/gateway_names.hh"
#include "proxy/host/parts.hh"

namespace i3 {

// 1 parse  2 rewrite if the two hosts know each other by other addresses  3 rules  4 TUN
class Inbound {
 public:
  Inbound(HostParts& parts, GatewayNames& names) : parts_(parts), names_(names) {}

  // One IP packet from an authenticated peer, changed in place. A refusal that wants an answer is
  // written to `answer`, in the addresses local programs see; `answer_size` 0: none.
  struct Result {
    Verdict verdict{};
    std::size_t answer_size = 0;
  };
  Result on_packet(Peer& peer, MutBytes bytes, MutBytes answer, TimePoint now);

 private:
  void followed(Peer& peer, EarlyFragments::Held& one, TimePoint now);

  HostParts& parts_;
  GatewayNames& names_;
  // In the addresses that local programs see.
  EarlyFragments early_;
};

}  // namespace i3
