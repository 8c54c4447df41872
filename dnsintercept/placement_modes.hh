// Owns the three ways of being placed, as place() chooses between them.
#pragma once

#include "dnsintercept/placement.hh"

namespace i3 {

// Each throws std::runtime_error as place() does.
std::unique_ptr<Placement> place_redirect(const PlacementRequest& request, Log& log);
std::unique_ptr<Placement> place_resolved(const PlacementRequest& request, Log& log);
std::unique_ptr<Placement> place_resolv_conf(const PlacementRequest& request, Log& log);

// systemd-resolved is on the system bus and resolv.conf leads to it.
bool resolved_answers_here(const std::string& resolv_conf);

}  // namespace i3
