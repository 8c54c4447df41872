#include "overlay/client/tracer.hh"

namespace i3::client {
namespace {
constexpr Duration kPatience = std::chrono::milliseconds(400);
}

void Tracer::start(const Id& id, const Endpoint& first, TraceDone done, TimePoint now) {
  if (traces_.size() >= kMaxTraces) return done({});
  Trace& trace = traces_.emplace_back();
  trace.id = id;
  trace.at = first;
  trace.done = std::move(done);
  ask(trace, now);
}

void Tracer::ask(Trace& trace, TimePoint now) {
  if (trace.tries++ == 0) {
    trace.nonce = core_.nonce();
    trace.sent = now;
  }
  trace.next = now + kPatience;
  core_.send(trace.at, wire::Step{trace.nonce, trace.id});
}

bool Tracer::on_reply(const Endpoint& from, const wire::StepReply& reply, TimePoint now) {
  auto trace = std::find_if(traces_.begin(), traces_.end(), [&](const Trace& one) {
    return one.nonce == reply.nonce && one.at == from && one.id == reply.id && one.next != kNever;
  });
  if (trace == traces_.end()) return false;
  go_on(*trace, reply, now);
  finish_ended();
  return true;
}

void Tracer::go_on(Trace& trace, const wire::StepReply& reply, TimePoint now) {
  TraceHop hop;
  hop.address = trace.at;
  hop.node = reply.node;
  hop.rtt = now - trace.sent;
  hop.answered = true;
  hop.owner = reply.owner;
  hop.matches = reply.matches;
  trace.hops.push_back(std::move(hop));
  trace.next = kNever;  // ended, unless there is a next one
  const auto next = reply.next ? core_.reachable(*reply.next) : std::nullopt;
  const auto been = [&](const TraceHop& one) { return one.address == *next; };
  if (reply.owner || !next || trace.hops.size() >= kMaxHops ||
      std::any_of(trace.hops.begin(), trace.hops.end(), been))
    return;
  trace.at = *next;
  trace.tries = 0;
  ask(trace, now);
}

void Tracer::on_timer(TimePoint now) {
  for (Trace& trace : traces_) {
    if (now < trace.next) continue;
    if (trace.tries < kTries) {
      ask(trace, now);
      continue;
    }
    TraceHop silent;
    silent.address = trace.at;
    trace.hops.push_back(std::move(silent));
    trace.next = kNever;
  }
  finish_ended();
}

// The callbacks may start others.
void Tracer::finish_ended() {
  std::vector<Trace> ended;
  for (std::size_t i = 0; i < traces_.size();) {
    if (traces_[i].next != kNever) {
      ++i;
      continue;
    }
    ended.push_back(std::move(traces_[i]));
    traces_.erase(traces_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (Trace& trace : ended) trace.done(trace.hops);
}

TimePoint Tracer::deadline() const {
  TimePoint first = kNever;
  for (const Trace& trace : traces_) first = std::min(first, trace.next);
  return first;
}

}  // namespace i3::client
