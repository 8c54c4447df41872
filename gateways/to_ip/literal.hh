// Owns names that spell an address: hosts behind a gateway that have nothing else.
#pragma once

#include <optional>
#include <string_view>

#include "overlay/base/endpoint.hh"

namespace i3 {

// "10-20-0-5" is 10.20.0.5, "fd00-7--5" is fd00:7::5; a name cannot begin with a hyphen, so ::5 is
// "0--5". Nothing for other names.
std::optional<IpAddress> literal_address(std::string_view name);

}  // namespace i3
