// Owns what of a gateway's settings its host needs: a gateway is a proxy that intercepts nothing.
#pragma once

#include "proxy/settings/gateway_settings.hh"
#include "proxy/settings/proxy_settings.hh"

namespace i3 {

// Whoever a kind lets in may open a session; what may pass through it is that kind's to say.
ProxySettings host_part(const GatewaySettings& settings);

}  // namespace i3
