// Owns the form of an alert: a syslog message in a UDP packet, which any syslog daemon understands.
#pragma once

#include <string_view>
#include <vector>

#include "overlay/base/endpoint.hh"

namespace i3 {

inline constexpr std::uint16_t kSyslogPort = 514;

// An IPv4 packet from port 514 to port 514 (RFC 5426) with an RFC 5424 message of facility local0,
// severity warning, without a time of its own. Text beyond 1000 bytes is cut; what is no printable
// ASCII becomes a question mark.
std::vector<std::uint8_t> alert_packet(const IpAddress& from, const IpAddress& to,
                                       std::string_view plugin, std::string_view text);

}  // namespace i3
