#include "proxy/daemon/tls_uplink.hh"

namespace i3 {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(250);

}  // namespace

TlsUplink::TlsUplink(boost::asio::io_context& io, Clock& clock, Random& random, Log& log,
                     Events events)
    : io_(io), clock_(clock), random_(random), log_(log), events_(std::move(events)), timer_(io) {}

TlsUplink::~TlsUplink() {
  drop_all();
}

void TlsUplink::want(bool wanted) {
  if (wanted == wanted_) return;
  wanted_ = wanted;
  pause_ = kFirstPause;
  if (!wanted) {
    drop_all();
    timer_.cancel();
    return;
  }
  next_round_ = clock_.now();
  tick();
}

void TlsUplink::restart() {
  drop_all();
  pause_ = kFirstPause;
  next_round_ = clock_.now();
  if (wanted_) tick();
}

void TlsUplink::drop_all() {
  for (const Attempt& attempt : attempts_) attempt.stream->close();
  attempts_.clear();
  round_.clear();
  if (!open_) return;
  dropped_ += open_->queue().dropped();
  open_->close();
  open_.reset();
}

// 1 a new round  2 the next of a round  3 attempts that take too long  4 is the tunnel alive?
void TlsUplink::tick() {
  const TimePoint now = clock_.now();
  if (!open_) {
    if (round_.empty() && attempts_.empty() && now >= next_round_) dial();
    if (!round_.empty() && now >= next_attempt_) start_attempt();
    for (std::size_t i = attempts_.size(); i-- > 0;) {
      if (now < attempts_[i].since + kDialFor) continue;
      const Attempt late = attempts_[i];
      attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(i));
      late.stream->close();
      fail(late.target, "no answer in time");
    }
  } else if (asked_ != kNever) {
    if (open_->heard() > asked_)
      asked_ = kNever;
    else if (now >= asked_ + kGiveUp)
      return ended(open_.get(), "it fell silent");
  } else if (now >= open_->heard() + kAskIdle || (sent_ != kNever && now >= sent_ + kAskBusy)) {
    asked_ = now;
    open_->send(wire::TunnelPing{false, random_.u64()});
  }
  arm(kTick);
}

void TlsUplink::arm(Duration after) {
  timer_.expires_after(std::chrono::duration_cast<std::chrono::milliseconds>(after));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && wanted_) tick();
  });
}

void TlsUplink::dial() {
  round_ = events_.targets();
  if (round_.size() > kMaxTargets) round_.resize(kMaxTargets);
  std::reverse(round_.begin(), round_.end());
  next_attempt_ = clock_.now();
  next_round_ = clock_.now() + pause_;
  pause_ = std::min(pause_ * 2, kMostPause);
}

void TlsUplink::start_attempt() {
  if (!tls_) tls_ = std::make_unique<boost::asio::ssl::context>(host_tls_context());
  const TunnelTarget target = round_.back();
  round_.pop_back();
  next_attempt_ = clock_.now() + kStagger;
  // The stream lives as long as its callbacks, so they may name it.
  auto self = std::make_shared<const TlsStream*>(nullptr);
  TlsStream::Events events;
  events.open = [this, self] { shaken(*self); };
  events.frame = [this, self](const wire::Frame& frame) { return on_frame(*self, frame); };
  events.turn = [this] { events_.turn(); };
  events.closed = [this, self](const std::string& why) { ended(*self, why); };
  auto stream = std::make_shared<TlsStream>(boost::asio::ip::tcp::socket(io_), *tls_, clock_,
                                            std::move(events));
  *self = stream.get();
  attempts_.push_back({target, stream, clock_.now()});
  stream->connect(target.address);
}

void TlsUplink::shaken(const TlsStream* stream) {
  for (const Attempt& attempt : attempts_) {
    if (attempt.stream.get() != stream) continue;
    const auto key = attempt.stream->key();
    if (!key || (attempt.target.key && *key != *attempt.target.key))
      return ended(stream, key ? "has another key: " + key->text() : "shows no key of a node");
    return attempt.stream->send(wire::TunnelHello{});
  }
}

bool TlsUplink::on_frame(const TlsStream* stream, const wire::Frame& frame) {
  if (const auto* welcome = std::get_if<wire::TunnelWelcome>(&frame))
    return welcomed(stream, *welcome);
  if (open_.get() != stream) return false;
  sent_ = kNever;
  if (const auto* datagram = std::get_if<wire::TunnelDatagram>(&frame)) {
    // The host opens sealed packets in place.
    std::copy(datagram->message.begin(), datagram->message.end(), buffer_.begin());
    events_.received(datagram->node, MutBytes(buffer_).first(datagram->message.size()));
    return true;
  }
  const auto* ping = std::get_if<wire::TunnelPing>(&frame);
  return ping != nullptr && ping->answer;
}

// The first node that welcomes us is ours; the other attempts end.
bool TlsUplink::welcomed(const TlsStream* stream, const wire::TunnelWelcome& welcome) {
  for (const Attempt& attempt : attempts_) {
    if (attempt.stream.get() != stream) continue;
    if (welcome.contact.key != attempt.stream->key()) return false;
    const Attempt won = attempt;
    for (const Attempt& other : attempts_)
      if (other.stream != won.stream) other.stream->close();
    attempts_.clear();
    round_.clear();
    open_ = won.stream;
    welcome_ = welcome;
    node_ = won.target.address;
    trouble_.clear();
    pause_ = kFirstPause;
    sent_ = asked_ = kNever;
    log_.info("tunnel_open", {{"node", node_.text()}, {"key", welcome.contact.key.text()}});
    if (!won.target.key) log_.warning("tunnel_node_without_key", {{"node", node_.text()}});
    events_.changed();
    return true;
  }
  return false;
}

void TlsUplink::ended(const TlsStream* stream, const std::string& why) {
  if (open_.get() == stream) {
    log_.warning("tunnel_lost", {{"node", node_.text()}, {"why", why}});
    trouble_ = node_.text() + ": " + why;
    drop_all();
    next_round_ = clock_.now();
    events_.changed();
    if (wanted_ && !open_) tick();
    return;
  }
  const auto attempt = std::find_if(attempts_.begin(), attempts_.end(),
                                    [&](const Attempt& a) { return a.stream.get() == stream; });
  if (attempt == attempts_.end()) return;
  const Attempt failed = *attempt;
  attempts_.erase(attempt);
  failed.stream->close();
  fail(failed.target, why);
}

void TlsUplink::fail(const TunnelTarget& target, const std::string& why) {
  std::string text = target.address.text() + ": " + why;
  if (text != trouble_)
    log_.info("tunnel_refused", {{"node", target.address.text()}, {"why", why}});
  trouble_ = std::move(text);
  next_attempt_ = clock_.now();  // the next one need not wait
}

void TlsUplink::send(const Endpoint& to, Bytes datagram) {
  if (!open_ || datagram.empty() || datagram.size() > wire::kMaxMessage || !to.valid()) {
    ++dropped_;
    return;
  }
  if (sent_ == kNever) sent_ = clock_.now();
  open_->send(wire::TunnelDatagram{to, datagram});
}

}  // namespace i3
