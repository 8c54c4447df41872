// The worker's stub: its sockets, its upstream servers, its place in the host's resolver.
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

std::vector<IpAddress> stub_addresses(const Inherited& inherited) {
  std::vector<IpAddress> addresses;
  for (const DnsPair& stub : inherited.stubs) addresses.push_back(stub.address);
  return addresses;
}

PlacementMode mode_of(Intercept intercept) {
  switch (intercept) {
    case Intercept::automatic:
      return PlacementMode::automatic;
    case Intercept::resolved:
      return PlacementMode::resolved;
    case Intercept::redirect:
      return PlacementMode::redirect;
    case Intercept::resolv_conf:
      return PlacementMode::resolv_conf;
    case Intercept::none:
      return PlacementMode::none;
  }
  return PlacementMode::none;
}

}  // namespace

void Worker::start_dns() {
  DnsSockets sockets;
  for (auto* pairs : {&inherited_.stubs, &inherited_.loopback})
    for (DnsPair& pair : *pairs) {
      sockets.udp.push_back(pair.udp.fd.release());
      sockets.tcp.push_back(pair.tcp.fd.release());
    }
  const auto upstream_socket = [this](int family, int type) {
    BrokerReply reply = broker_->upstream_socket(family == AF_INET6, type == SOCK_STREAM);
    return reply.ok() ? reply.fd.release() : -1;
  };
  InterceptorSettings settings;
  settings.own_suffixes = {settings_.dns.suffix};
  dns_ = std::make_unique<DnsServer>(io_, *names_, random_, clock_, log_, std::move(sockets),
                                     upstream_socket, std::move(settings));
  names_->complete = [this](std::uint64_t number, const NameAnswer& answer) {
    dns_->complete(number, answer);
  };
  resolver_ =
      std::make_unique<ResolverWatch>(io_, "/etc/resolv.conf", [this](const ResolverConfig&) {
        place_dns();
        set_upstreams();
      });
  place_dns();
  set_upstreams();
}

// Where systemd-resolved sends us our domains, resolv.conf names resolved itself: what we forward
// must go behind it, or it would come round again.
void Worker::set_upstreams() {
  const ResolverConfig config = dns_state_.mode == "resolved"
                                    ? read_resolver_config("/run/systemd/resolve/resolv.conf")
                                    : resolver_->current();
  dns_->set_upstreams(upstreams_of(config, stub_addresses(inherited_)));
}

// Asked for only now that the stub answers: a host never has a resolver that is not there.
void Worker::place_dns() {
  if (settings_.dns.intercept == Intercept::none) {
    if (dns_state_.mode != "none") broker_->withdraw_dns();
    dns_state_ = {};
    return;
  }
  PlacementRequest request;
  request.mode = mode_of(settings_.dns.intercept);
  request.link_name = inherited_.tun_name;
  request.link_index = static_cast<int>(inherited_.tun_index);
  for (const DnsPair& stub : inherited_.stubs)
    (stub.address.is_v4() ? request.stub4 : request.stub6) = stub.address;
  request.routing_domains = names_->policy().routing_domains();
  request.routing_domains.insert(request.routing_domains.begin(), settings_.dns.suffix);
  for (std::string& zone : names_->reverse_zones()) request.routing_domains.push_back(zone);
  request.sees_every_query = names_->policy().sees_every_query();
  for (const DnsPair& pair : inherited_.loopback)
    (pair.address.is_v4() ? request.redirect_port4 : request.redirect_port6) = pair.udp.local.port;
  request.nameservers = resolver_->current().nameservers;
  BrokerReply reply = broker_->place_dns(request);
  if (!request.stub4 && !request.stub6)
    dns_state_.server.clear();
  else
    dns_state_.server = Endpoint{request.stub4 ? *request.stub4 : *request.stub6, 53}.text();
  if (reply.ok()) {
    dns_state_.mode = reply.text.substr(0, reply.text.find(':'));
    dns_state_.description =
        reply.text.substr(std::min(reply.text.size(), reply.text.find(':') + 2));
    log_.info("dns_placed", {{"mode", reply.text}});
  } else {
    dns_state_.mode = "none";
    dns_state_.description = reply.text;
    log_.error("dns_not_placed", {{"reason", reply.text}});
  }
}

}  // namespace i3
