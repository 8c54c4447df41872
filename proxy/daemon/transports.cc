#include "proxy/daemon/transports.hh"

#include "overlay/wire/host_messages.hh"

namespace i3 {

Transports::Transports(boost::asio::io_context& io, Clock& clock, Random& random, Log& log,
                       TransportChoice::Mode mode, Underlay& underlay, Events events)
    : clock_(clock),
      random_(random),
      log_(log),
      underlay_(underlay),
      events_(std::move(events)),
      choice_(mode),
      uplink_(io, clock, random, log,
              {events_.targets, events_.received, events_.turn,
               [this] {
                 if (uplink_.is_open())
                   choice_.tunnel_opened(clock_.now());
                 else
                   choice_.tunnel_lost(clock_.now());
                 // Another tunnel is another address.
                 if (told_tls_ && uplink_.is_open()) told_tls_ = false;
                 settle();
               }}),
      timer_(io) {}

void Transports::start() {
  running_ = true;
  choice_.start(clock_.now());
  settle();
}

void Transports::set_mode(TransportChoice::Mode mode) {
  choice_.set_mode(mode, clock_.now());
  settle();
}

void Transports::network_changed() {
  choice_.tunnel_lost(clock_.now());
  choice_.network_changed(clock_.now());
  uplink_.restart();
  settle();
}

void Transports::send(const Endpoint& to, Bytes datagram) {
  if (on_tls() && !events_.is_local(to)) return uplink_.send(to, datagram);
  underlay_.send(to, datagram);
  if (choice_.waits_for_word() || events_.is_local(to)) return;
  choice_.udp_sent(clock_.now());
  // Sending may begin a wait.
  if (choice_.deadline() < armed_) arm();
}

void Transports::flush() {
  underlay_.flush();
}

bool Transports::take(const Endpoint& from, Bytes datagram) {
  choice_.udp_received();
  const auto header = wire::Header::parse(datagram);
  if (!header || header->type != wire::Type::probe_reply) return false;
  const auto reply = wire::ProbeReply::parse(datagram);
  if (!reply) return false;
  for (Asked& asked : asked_) {
    if (asked.nonce == 0 || asked.nonce != reply->nonce || asked.node != from) continue;
    asked.nonce = 0;
    const bool right = (!asked.key || *asked.key == reply->contact.key) &&
                       wire::ProbeReply::valid_signature(datagram, reply->contact.key);
    if (!right) return true;
    choice_.udp_answered(clock_.now());
    settle();
    return true;
  }
  return false;
}

// Asked beside the client's own probes, which go the way that is in use.
void Transports::probe() {
  std::size_t count = 0;
  for (const EntryNode& node : events_.nodes()) {
    if (events_.is_local(node.address)) continue;
    if (++count > kAskAtOnce) break;
    Asked& asked = asked_[next_asked_++ % asked_.size()];
    asked = {node.address, node.key, random_.u64() | 1};
    std::array<std::uint8_t, wire::Probe::kSize> message;
    Writer writer(message);
    wire::Probe{asked.nonce}.write(writer);
    underlay_.send(node.address, writer.written());
  }
  underlay_.flush();
}

// Does what the choice wishes, and says what changed.
void Transports::settle() {
  if (!running_) return;
  uplink_.want(choice_.wants_tunnel());
  if (!choice_.wants_tunnel()) choice_.tunnel_lost(clock_.now());
  if (told_tls_ != on_tls()) {
    told_tls_ = on_tls();
    log_.info("transport", {{"way", told_tls_ ? "tls" : "udp"},
                            {"node", tunnel() ? tunnel()->node().text() : "-"},
                            {"reason", choice_.reason()}});
    events_.changed();
  }
  arm();
}

void Transports::arm() {
  const TimePoint next = choice_.deadline();
  if (next >= armed_) return;
  armed_ = next;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(next.time_since_epoch())));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    armed_ = kNever;
    if (choice_.on_timer(clock_.now())) probe();
    settle();
  });
}

}  // namespace i3
