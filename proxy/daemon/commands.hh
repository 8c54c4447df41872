// Owns what i3-ctl can ask of i3-proxy; the fields of each answer are in docs/i3-ctl.md.
#pragma once

#include "overlay/base/control/server.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"

namespace i3 {

class Worker;

// All references outlive the server.
void register_commands(ControlServer& server, Worker& worker);

// In three groups, by what they are about.
void register_status_commands(ControlServer& server, Worker& worker);
void register_name_commands(ControlServer& server, Worker& worker);
void register_peer_commands(ControlServer& server, Worker& worker);

// Null where there is none.
Json text_or_null(const std::string& text);
double to_ms(Duration duration);
// The key that `name` means; ControlError if none.
PublicKey key_named(Worker& worker, const std::string& name);
// This host's name card: an invitation without entry nodes.
std::string name_card(Worker& worker);

}  // namespace i3
