#include "overlay/node/tls_server.hh"

#include <cerrno>
#include <cstring>

namespace i3 {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using Error = boost::system::error_code;

constexpr std::size_t kMaxPrefixes = 65'536;
constexpr Duration kPrefixFor = std::chrono::minutes(1);
constexpr Duration kTick = std::chrono::seconds(1);
constexpr int kBatch = 32;

// To who speaks something else inside TLS, as a browser would.
constexpr char kNoWebServer[] =
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

Endpoint from_udp(const udp::endpoint& endpoint) {
  const auto address = endpoint.address();
  if (address.is_v4()) return {IpAddress::v4(address.to_v4().to_uint()), endpoint.port()};
  return {IpAddress::v6(address.to_v6().to_bytes()), endpoint.port()};
}
udp::endpoint to_udp(const Endpoint& endpoint) {
  const tcp::endpoint same = to_tcp(endpoint);
  return {same.address(), same.port()};
}

// What this node's own core takes for the host's address: loopback, and the port of the tunnel's
// own socket. Nothing that comes over the network can bear it.
Endpoint alias_of(const udp::socket& socket, bool v4) {
  Error error;
  IpAddress loopback = IpAddress::v4(0x7f000001);
  if (!v4) {
    loopback = {};
    loopback.bytes[15] = 1;
  }
  return {loopback, socket.local_endpoint(error).port()};
}

}  // namespace

OwnedFd TlsServer::listen(const Endpoint& address, bool dual, std::string_view what) {
  asio::io_context context;
  const tcp::endpoint local = to_tcp(address);
  tcp::acceptor acceptor(context);
  Error error;
  acceptor.open(local.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && !address.address.is_v4()) acceptor.set_option(asio::ip::v6_only(!dual), error);
  if (!error) acceptor.bind(local, error);
  if (!error) acceptor.listen(128, error);
  if (error) {
    std::string text =
        address.text() + ": cannot listen for " + std::string(what) + ": " + error.message();
    if (error == asio::error::address_in_use)
      text += "; another program uses this port, stop it or choose another";
    throw SocketError(text, error == asio::error::access_denied);
  }
  return OwnedFd(acceptor.release());
}

TlsServer::TlsServer(asio::io_context& context, NodeDriver& node, std::vector<OwnedFd> listening,
                     const Identity& identity, std::optional<PublicKey> operator_key,
                     Random& random, Clock& clock, Log& log)
    : context_(context),
      node_(node),
      clock_(clock),
      log_(log),
      tls_(node_tls_context(identity)),
      timer_(context),
      gate_(*this, random, operator_key) {
  for (OwnedFd& fd : listening) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    acceptors_.push_back(std::make_unique<tcp::acceptor>(
        context, address.ss_family == AF_INET ? tcp::v4() : tcp::v6(), fd.release()));
    wait(*acceptors_.back());
  }
  node_.set_side_door(this);
  tick();
}

TlsServer::~TlsServer() {
  close();
  node_.set_side_door(nullptr);
}

void TlsServer::close() {
  closed_ = true;
  Error ignored;
  timer_.cancel();
  for (auto& acceptor : acceptors_) acceptor->close(ignored);
  while (!tunnels_.empty()) end(tunnels_.begin()->first, "the node stops");
}

std::vector<Endpoint> TlsServer::listening() const {
  std::vector<Endpoint> result;
  for (const auto& acceptor : acceptors_) {
    Error error;
    const auto local = acceptor->local_endpoint(error);
    if (!error) result.push_back(from_tcp(local));
  }
  return result;
}

void TlsServer::add_counters(std::map<std::string, std::uint64_t, std::less<>>& all) const {
  for (const Counters* counters : {&counters_, &gate_.counters()})
    for (const auto& [name, value] : counters->all()) all[name] += value;
  std::uint64_t dropped = dropped_before_;
  for (const auto& [id, tunnel] : tunnels_) dropped += tunnel.stream->queue().dropped();
  all["tunnel_stalled"] += dropped;
}

void TlsServer::wait(tcp::acceptor& acceptor) {
  acceptor.async_accept([this, &acceptor](const Error& error, tcp::socket socket) {
    if (closed_) return;
    if (!error) accept(std::move(socket));
    if (!error || error == asio::error::connection_aborted) return wait(acceptor);
    counters_.add("tls_accept_failed");
    // Out of descriptors: the next tick begins again.
    auto pause = std::make_shared<asio::steady_timer>(context_, std::chrono::milliseconds(100));
    pause->async_wait([this, &acceptor, pause](const Error&) {
      if (!closed_) wait(acceptor);
    });
  });
}

// Nothing of the handshake is computed for who has no allowance left.
void TlsServer::accept(tcp::socket socket) {
  Error error;
  const Endpoint remote = from_tcp(socket.remote_endpoint(error));
  if (error) return;
  const TimePoint now = clock_.now();
  const IpAddress prefix = limit_prefix(remote.address);
  if (!may_open(prefix, now)) return;
  const TunnelId id = next_++;
  TlsStream::Events events;
  events.frame = [this, id](const wire::Frame& frame) { return on_frame(id, frame); };
  events.turn = [this] { node_.settle(); };
  events.closed = [this, id](const std::string& why) { end(id, why); };
  Tunnel& tunnel = tunnels_[id];
  tunnel.stream = std::make_shared<TlsStream>(std::move(socket), tls_, clock_, std::move(events));
  tunnel.prefix = prefix;
  tunnel.since = now;
  ++prefixes_[prefix].open;
  counters_.add("tls_accepted");
  tunnel.stream->accept(kNoWebServer);
}

bool TlsServer::may_open(const IpAddress& prefix, TimePoint now) {
  const std::size_t greeting = tunnels_.size() - greeted_;
  if (tunnels_.size() >= kMaxConnections || greeting >= kMaxGreeting ||
      (prefixes_.size() >= kMaxPrefixes && !prefixes_.contains(prefix))) {
    counters_.add("tls_full");
    return false;
  }
  Prefix& source = prefixes_[prefix];
  source.used = now;
  if (source.open >= kMaxOfPrefix || !source.handshakes.take(now) || !handshakes_.take(now)) {
    counters_.add("tls_source_limit");
    return false;
  }
  return true;
}

bool TlsServer::on_frame(TunnelId id, const wire::Frame& frame) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return false;
  Tunnel& tunnel = found->second;
  if (std::holds_alternative<wire::TunnelHello>(frame)) return !tunnel.greeted && greet(id, tunnel);
  if (!tunnel.greeted) return false;
  if (const auto* datagram = std::get_if<wire::TunnelDatagram>(&frame)) {
    gate_.from_host(id, *datagram, clock_.now());
    return true;
  }
  const auto* ping = std::get_if<wire::TunnelPing>(&frame);
  if (ping == nullptr || ping->answer) return false;
  tunnel.stream->send(wire::TunnelPing{true, ping->nonce});
  return true;
}

bool TlsServer::greet(TunnelId id, Tunnel& tunnel) {
  const wire::NodeContact& contact = node_.core().contact();
  if (!contact.v4 && !contact.v6) return false;  // it does not know its own address yet
  wire::TunnelWelcome welcome;
  welcome.v4 = node_.sends_to(IpAddress::v4(0)) && open_socket(id, tunnel, true);
  welcome.v6 = node_.sends_to(IpAddress{}) && open_socket(id, tunnel, false);
  if (!welcome.v4 && !welcome.v6) return false;
  tunnel.greeted = true;
  ++greeted_;
  gate_.open(id, tunnel.stream->remote().address);
  welcome.observed = tunnel.stream->remote();
  welcome.contact = contact;
  tunnel.stream->send(welcome);
  log_.info("tunnel_open", {{"host", tunnel.stream->remote().text()}});
  return true;
}

bool TlsServer::open_socket(TunnelId id, Tunnel& tunnel, bool v4) {
  udp::socket socket(context_);
  Error error;
  socket.open(v4 ? udp::v4() : udp::v6(), error);
  if (!error && !v4) socket.set_option(asio::ip::v6_only(true), error);
  if (!error) socket.bind(udp::endpoint(v4 ? udp::v4() : udp::v6(), 0), error);
  if (!error) socket.non_blocking(true, error);
  if (error) {
    counters_.add("tunnel_no_socket");
    return false;
  }
  auto& place = tunnel.sockets[v4 ? 0 : 1];
  place.emplace(std::move(socket));
  aliases_[alias_of(*place, v4)] = id;
  wait_for_datagrams(id, *place);
  return true;
}

void TlsServer::wait_for_datagrams(TunnelId id, udp::socket& socket) {
  socket.async_wait(udp::socket::wait_read, [this, id, &socket](const Error& error) {
    if (error || !tunnels_.contains(id)) return;
    receive(id, socket);
    if (tunnels_.contains(id)) wait_for_datagrams(id, socket);
  });
}

void TlsServer::receive(TunnelId id, udp::socket& socket) {
  const TimePoint now = clock_.now();
  const WallTime wall = clock_.wall();
  for (int i = 0; i < kBatch; ++i) {
    udp::endpoint from;
    Error error;
    const std::size_t size = socket.receive_from(asio::buffer(buffer_), from, 0, error);
    if (error == asio::error::would_block) return;
    if (!error) gate_.from_network(id, from_udp(from), Bytes(buffer_).first(size), now, wall);
  }
}

void TlsServer::end(TunnelId id, const std::string& why) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  Tunnel& tunnel = found->second;
  if (tunnel.greeted)
    log_.info("tunnel_closed", {{"host", tunnel.stream->remote().text()}, {"why", why}});
  else
    counters_.add("tls_no_tunnel");
  tunnel.stream->close();
  dropped_before_ += tunnel.stream->queue().dropped();
  for (std::size_t family = 0; family < 2; ++family)
    if (auto& socket = tunnel.sockets[family]) aliases_.erase(alias_of(*socket, family == 0));
  if (tunnel.greeted) --greeted_;
  gate_.close(id);
  if (auto prefix = prefixes_.find(tunnel.prefix); prefix != prefixes_.end()) {
    prefix->second.used = clock_.now();
    --prefix->second.open;
  }
  tunnels_.erase(found);
}

void TlsServer::tick() {
  const TimePoint now = clock_.now();
  std::vector<std::pair<TunnelId, const char*>> over;
  for (const auto& [id, tunnel] : tunnels_) {
    if (!tunnel.greeted && tunnel.since + kGreetWithin < now)
      over.emplace_back(id, "said nothing in time");
    else if (tunnel.greeted && tunnel.stream->heard() + kIdleFor < now)
      over.emplace_back(id, "idle");
  }
  for (const auto& [id, why] : over) end(id, why);
  std::erase_if(prefixes_, [&](const auto& entry) {
    return entry.second.open == 0 && entry.second.used + kPrefixFor < now;
  });
  gate_.sweep(now);
  timer_.expires_after(std::chrono::duration_cast<std::chrono::milliseconds>(kTick));
  timer_.async_wait([this](const Error& error) {
    if (!error && !closed_) tick();
  });
}

bool TlsServer::take(const Endpoint& to, Bytes message) {
  if (aliases_.empty()) return false;
  const auto found = aliases_.find(to);
  if (found == aliases_.end()) return false;
  const Tunnel& tunnel = tunnels_.at(found->second);
  to_host(found->second, tunnel.self[to.address.is_v4() ? 0 : 1], message);
  return true;
}

bool TlsServer::is_self(TunnelId id, const Endpoint& node) {
  if (node_.core().contact().owns(node)) return true;
  const auto tunnel = tunnels_.find(id);
  const auto ports = node_.listening();
  return std::any_of(ports.begin(), ports.end(), [&](const Endpoint& port) {
    return port.port == node.port &&
           (port.address == node.address ||
            (tunnel != tunnels_.end() && tunnel->second.stream->local().address == node.address));
  });
}

bool TlsServer::is_member(const Endpoint& node) {
  const Chord* chord = node_.core().chord();
  if (chord == nullptr) return false;
  const auto owns = [&](const RingPeer& peer) { return peer.contact.owns(node); };
  const RingView& view = chord->view();
  return std::any_of(view.successors().begin(), view.successors().end(), owns) ||
         std::any_of(view.predecessors().begin(), view.predecessors().end(), owns) ||
         std::any_of(view.fingers().begin(), view.fingers().end(),
                     [&](const Finger& finger) { return owns(finger.peer); });
}

void TlsServer::to_core(TunnelId id, const Endpoint& asked, Bytes message) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  const std::size_t family = asked.address.is_v4() ? 0 : 1;
  const auto& socket = found->second.sockets[family];
  if (!socket) return counters_.add("tunnel_not_sent");
  found->second.self[family] = asked;
  std::array<std::uint8_t, wire::kMaxMessage> copy;
  std::copy(message.begin(), message.end(), copy.begin());
  node_.inject(alias_of(*socket, family == 0), MutBytes(copy).first(message.size()));
}

void TlsServer::to_network(TunnelId id, const Endpoint& node, Bytes message) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  auto& socket = found->second.sockets[node.address.is_v4() ? 0 : 1];
  Error error;
  if (socket) socket->send_to(asio::buffer(message.data(), message.size()), to_udp(node), 0, error);
  if (!socket || error) counters_.add("tunnel_not_sent");
}

void TlsServer::to_host(TunnelId id, const Endpoint& node, Bytes message) {
  const auto found = tunnels_.find(id);
  if (found != tunnels_.end()) found->second.stream->send(wire::TunnelDatagram{node, message});
}

}  // namespace i3
