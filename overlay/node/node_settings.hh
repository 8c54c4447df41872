// Owns what a node's settings mean to its core: contact, entry nodes, limits, membership.
#pragma once

#include "overlay/base/xml/node_settings.hh"
#include "overlay/node/node_core.hh"

namespace i3 {

// Throws ConfigError for what only shows here: two addresses of a family, no way to know one's own
// address. Reads the membership beside the identity, if one is there. `k` and the key are left to
// the caller.
NodeCoreSettings core_settings(const NodeSettings& settings);

// The limits that a reload may change.
TriggerLimits trigger_limits(const NodeSettings& settings);

// The membership that the ring's operator gave this node: the file IDENTITY.membership, one line of
// base32; nothing if there is no such file.
std::optional<wire::Membership> read_membership(const std::string& identity_file);
std::string membership_text(const wire::Membership& membership);

// The node's k for this life: one more than that of the last, as kept in `state_file` (docs/
// DESIGN.md, decision 7). Written before the node joins; what cannot be written is said in
// `problem`.
std::uint8_t next_place(const std::string& state_file, std::string& problem);
bool save_place(const std::string& state_file, std::uint8_t k, std::string& problem);

}  // namespace i3
