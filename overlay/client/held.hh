// Owns the description of a trigger that a host holds besides its own addresses: its place in a
// group, or an ID that leads on to other IDs.
#pragma once

#include "overlay/wire/insert.hh"

namespace i3 {

// At most Client::kMaxHeld, each known by `id` and `owner`.
struct HeldTrigger {
  Id id;
  PublicKey owner;  // under whose prefix it lies: a group, or this host itself
  std::uint32_t salt = 0;
  bool exact = true;
  std::uint32_t rate_pps = 0;                  // what nodes let through; 0: no limit
  std::optional<wire::Delegation> delegation;  // needed where the owner is not this host
  std::vector<wire::Consent> stack;            // where it leads; none: to this host
};

// What a host's two public IDs lead to in place of this host; empty: not known yet.
using PublicStacks = std::array<std::vector<wire::Consent>, std::size(kPublicSalts)>;

// For status.
struct HeldStatus {
  Id id;
  PublicKey owner;
  bool exact = true;
  std::size_t stack = 0;   // IDs it leads to
  std::size_t places = 0;  // nodes where it stands: the owner of the ID and its replicas
  bool at_owner = false;
  Endpoint address;     // of the first of them
  std::string trouble;  // empty: none; else why it stands nowhere
};

}  // namespace i3
