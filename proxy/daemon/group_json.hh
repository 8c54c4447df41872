// Owns what commands say of groups.
#pragma once

#include "overlay/base/control/control.hh"
#include "overlay/base/keys.hh"

namespace i3 {

class Worker;

// status: the groups in use, and those that this host is a member of.
Json groups_json(Worker& worker);
Json memberships_json(Worker& worker);
// triggers: rows for places in groups.
void add_group_triggers(Worker& worker, Json& rows);
// The names of groups for which that host stands now.
Json stands_for(Worker& worker, const PublicKey& key);

}  // namespace i3
