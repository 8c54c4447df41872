// Owns what a node answers on its control socket (fields: docs/i3-ctl.md).
#pragma once

#include <string>

#include "overlay/base/control/server.hh"
#include "overlay/node/node_driver.hh"

namespace i3 {

Json member_json(const wire::NodeContact& contact);
// `ring`; throws ControlError while the node has no address.
Json ring_json(const NodeCore& core);
Json node_triggers_json(const NodeCore& core, TimePoint now);
Json node_status_json(const NodeDriver& driver, Duration uptime);
std::string metrics_text(const NodeDriver& driver);

// status, ring, triggers, metrics, identity. `driver` must outlive the server's connections.
void add_node_commands(ControlServer& server, const NodeDriver& driver, TimePoint started);

}  // namespace i3
