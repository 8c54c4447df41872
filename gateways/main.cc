// i3-gateway: an edge of the overlay. A parent and a worker as i3-proxy has them, whose worker does
// more (gateway.hh).
#include "gateways/gateway.hh"
#include "gateways/host_part.hh"
#include "proxy/daemon/program.hh"
#include "proxy/daemon/virtual_networks.hh"
#include "proxy/platform/forwarding.hh"

namespace i3 {
namespace {

// What forwarding was before i3-to-IP and before the waypoints; on the way of the control socket,
// which goes with the machine's start.
constexpr char kForwarding[] = "gateway.forwarding", kWaypointForwarding[] = "waypoint.forwarding";
std::string forwarding_record(const std::string& socket, const char* name) {
  const std::size_t slash = socket.rfind('/');
  return socket.substr(0, slash == socket.npos ? 0 : slash + 1) + name;
}

// Single addresses that some rule names.
std::vector<IpAddress> named_addresses(const std::string& config) {
  std::vector<IpAddress> named;
  const GatewaySettings settings = load_gateway_settings(config);
  if (settings.i3_to_ip)
    for (const GatewayRule& rule : settings.i3_to_ip->rules)
      for (const IpRange& range : rule.addresses)
        if (range.first == range.last) named.push_back(range.first);
  return named;
}

void add_request(const std::string& config, PlatformRequest& request) {
  const GatewaySettings settings = load_gateway_settings(config);
  if (settings.middlebox)
    request.inspect = InspectRequest{settings.middlebox->tun, settings.middlebox->inline_,
                                     settings.middlebox->program, settings.middlebox->plugins};
  if (settings.i3_to_ip)
    request.nat = NatRequest{[config] { return named_addresses(config); }, networks_of_others,
                             forwarding_record(request.control_socket, kForwarding)};
  if (!settings.ip_to_i3) return;
  const IpToI3Settings& from = *settings.ip_to_i3;
  request.zone_listen = from.listens();
  WaypointRequest waypoints{from.waypoints4, from.waypoints6, from.ports, from.listens(),
                            forwarding_record(request.control_socket, kWaypointForwarding)};
  if (waypoints.any() && !from.waypoints_at) request.waypoints = std::move(waypoints);
}

}  // namespace
}  // namespace i3

int main(int argc, char** argv) {
  i3::Program program;
  program.name = "i3-gateway";
  program.summary = "Joins an i3 overlay to machines that run nothing, at their network's edge.";
  program.default_config = "/etc/i3/gateway.xml";
  program.default_socket = "/run/i3/gateway.sock";
  program.read_settings = [](std::string text, const std::string& file,
                             const i3::FileSource& source) {
    return i3::host_part(i3::parse_gateway_settings(std::move(text), file, source));
  };
  program.add_request = i3::add_request;
  program.clean_up = [](const std::string& socket, i3::Log& log) {
    bool all = true;
    for (const char* name : {i3::kForwarding, i3::kWaypointForwarding})
      all = i3::restore_forwarding(i3::forwarding_record(socket, name), log) && all;
    return all;
  };
  program.make_extension = [] { return std::make_unique<i3::Gateway>(); };
  return i3::run_program(program, argc, argv);
}
