// Owns what i3-ctl can ask of i3-proxy; the fields of each answer are in docs/i3-ctl.md.
#pragma once

#include "overlay/base/control/server.hh"
#include "overlay/base/keys.hh"
#include "overlay/base/time.hh"

namespace i3 {

class Worker;
struct Peer;

// All references outlive the server.
void register_commands(ControlServer& server, Worker& worker);

// In groups, by what they are about.
void register_path_commands(ControlServer& server, Worker& worker);
void register_status_commands(ControlServer& server, Worker& worker);
void register_name_commands(ControlServer& server, Worker& worker);
void register_peer_commands(ControlServer& server, Worker& worker);
void register_record_commands(ControlServer& server, Worker& worker);
// Keys of the books, and our own, that are not what they were.
void add_record_problems(Worker& worker, Json& problems);

// Counters for Prometheus.
std::string metrics_text(Worker& worker);

// Null where there is none.
Json text_or_null(const std::string& text);
double to_ms(Duration duration);
// The key that `name` means; ControlError if none.
PublicKey key_named(Worker& worker, const std::string& name);
// The NAT, the nodes, and every way to a peer with what became of it.
Json nat_json(Worker& worker);
Json nodes_json(Worker& worker);
Json ways_json(Worker& worker, const Peer& peer);
// This host's name card: an invitation without entry nodes.
std::string name_card(Worker& worker);

}  // namespace i3
