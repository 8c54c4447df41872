// Owns the interceptor's second half: questions that are not ours, on their way to a real resolver.
#include "dnsintercept/interceptor.hh"

namespace i3 {
namespace {

constexpr int kIdTries = 64;
// A connection may end this often without an answer before its question goes to another server.
constexpr std::uint8_t kEmptyConnections = 2;
// A server that failed is asked first again after this long.
constexpr std::chrono::seconds kPreferenceLasts{60};

bool try_another_server(Rcode rcode) {
  return rcode == Rcode::server_failure || rcode == Rcode::refused;
}

// Errors of servers that send back a header only, and the later messages of a zone transfer
// (RFC 5936 2.2).
bool may_lack_question(Bytes message, const WaitingQuestion& waiting) {
  Reader reader(message);
  reader.skip(2);
  const std::uint16_t flags = reader.u16();
  const std::uint16_t questions = reader.u16();
  if (!reader.ok() || message.size() < kDnsHeaderSize) return false;
  return flags & 0x8000 && questions == 0 && ((flags & 0xf) != 0 || waiting.streams);
}

Rcode rcode_of(Bytes message) {
  Reader reader(message);
  reader.skip(2);
  return static_cast<Rcode>(reader.u16() & 0xf);
}

}  // namespace

std::uint32_t Interceptor::random() {
  if (random_left_ < 4) {
    random_.fill(random_pool_);
    random_left_ = random_pool_.size();
  }
  random_left_ -= 4;
  return Reader(Bytes(random_pool_).subspan(random_left_, 4)).u32();
}

// 1 a slot  2 an ID that nobody can guess  3 the first server  4 wait
void Interceptor::forward(const DnsClient& client, Bytes message, const DnsQuestion& question,
                          TimePoint now) {
  WaitingQuestion* waiting = upstreams_.empty() ? nullptr : table_.add(client, message);
  bool named = false;
  for (int tries = 0; waiting && !named && tries < kIdTries; ++tries)
    named = table_.assign_id(*waiting, static_cast<std::uint16_t>(random()));
  if (!named) {
    if (waiting) table_.release(*waiting);
    ++counters_.table_full;
    return reply(client, message, question, {.rcode = Rcode::server_failure});
  }
  if (now - preferred_since_ > kPreferenceLasts) preferred_ = 0;
  waiting->client_id = question.id;
  waiting->hash = question_hash(question) % static_cast<std::uint32_t>(in_flight_.size());
  waiting->streams = client.transport == DnsTransport::tcp &&
                     (question.type == dns_type::axfr || question.type == dns_type::ixfr);
  waiting->next_server =
      static_cast<std::uint8_t>((preferred_ + in_flight_[waiting->hash]) % upstreams_.size());
  set_dns_id(waiting->message, waiting->id);
  ++in_flight_[waiting->hash];
  table_.enter(*waiting, WaitPhase::asked, now);
  ++counters_.forwarded;
  if (!ask_next(*waiting, true)) {
    fail(*waiting, Rcode::server_failure);
    finish(*waiting);
  }
}

bool Interceptor::ask(WaitingQuestion& waiting, const Endpoint& server) {
  if (waiting.asked == waiting.channels.size()) return false;
  DnsChannel channel{
      .transport = waiting.client.transport, .number = waiting.client.socket, .server = server};
  if (channel.transport == DnsTransport::udp) channel.number = random() % kUdpChannels;
  if (!output_.ask(channel, waiting.message)) return false;
  waiting.channels[waiting.asked++] = channel;
  return true;
}

bool Interceptor::ask_next(WaitingQuestion& waiting, bool only_new) {
  const auto was_asked = [&](const Endpoint& server) {
    for (std::size_t i = 0; i < waiting.asked; ++i)
      if (waiting.channels[i].server == server) return true;
    return false;
  };
  for (bool new_ones : {true, false}) {
    if (!new_ones && only_new) break;
    for (std::size_t i = 0; i < upstreams_.size(); ++i) {
      const Endpoint& server = upstreams_[waiting.next_server % upstreams_.size()];
      if (was_asked(server) == new_ones) {
        ++waiting.next_server;
        continue;
      }
      ++waiting.next_server;
      if (ask(waiting, server)) return true;
    }
  }
  return false;
}

void Interceptor::finish(WaitingQuestion& waiting) {
  --in_flight_[waiting.hash];
  table_.release(waiting);
}

void Interceptor::prefer(const Endpoint& server, TimePoint now) {
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (upstreams_[i] != server || i == preferred_) continue;
    preferred_ = i;
    preferred_since_ = now;
  }
}

// 1 whose is it  2 is it the answer to that question, from the server asked  3 pass it on
void Interceptor::on_response(const DnsChannel& channel, MutBytes message, TimePoint now) {
  WaitingQuestion* waiting =
      message.size() < kDnsHeaderSize ? nullptr : table_.find(Reader(message).u16());
  bool ours = false;
  for (std::size_t i = 0; waiting && i < waiting->asked; ++i)
    ours = ours || waiting->channels[i] == channel;
  if (ours) {
    const auto answered = parse_question(message);
    const auto asked = parse_question(waiting->message);
    ours = answered ? answered->is_response() && same_question(*answered, *asked)
                    : may_lack_question(message, *waiting);
  }
  if (!ours) {
    ++counters_.stray_responses;
    return;
  }
  if (try_another_server(rcode_of(message))) {
    ++waiting->failed;
    if (ask_next(*waiting, true) || waiting->failed < waiting->asked) return;
  } else if (waiting->asked > 1) {
    prefer(channel.server, now);
  }
  set_dns_id(message, waiting->client_id);
  ++counters_.returned;
  output_.answer(waiting->client, message);
  if (waiting->streams)
    table_.enter(*waiting, WaitPhase::streaming, now);
  else
    finish(*waiting);
}

void Interceptor::on_channel_closed(const DnsChannel& channel, bool answered) {
  for (WaitPhase phase :
       {WaitPhase::asked, WaitPhase::asked_again, WaitPhase::last_chance, WaitPhase::streaming}) {
    table_.each(phase, [&](WaitingQuestion& waiting) {
      bool asked_here = false;
      for (std::size_t i = 0; i < waiting.asked; ++i)
        asked_here = asked_here || waiting.channels[i] == channel;
      if (!asked_here) return;
      if (waiting.streams && answered) return finish(waiting);  // the transfer's end
      if (answered || ++waiting.closed <= kEmptyConnections) {
        if (channel.transport == DnsTransport::tcp && output_.ask(channel, waiting.message)) return;
      }
      ++counters_.retried;
      ++waiting.failed;
      if (ask_next(waiting, true) || waiting.failed < waiting.asked) return;
      fail(waiting, Rcode::server_failure);
      finish(waiting);
    });
  }
}

void Interceptor::on_client_gone(const DnsClient& client) {
  for (std::size_t phase = 0; phase < kWaitPhases; ++phase) {
    table_.each(static_cast<WaitPhase>(phase), [&](WaitingQuestion& waiting) {
      if (waiting.client.transport != client.transport || waiting.client.socket != client.socket)
        return;
      if (waiting.phase == WaitPhase::parked)
        table_.release(waiting);
      else
        finish(waiting);
    });
  }
}

void Interceptor::poll(TimePoint now) {
  while (WaitingQuestion* waiting = table_.due(now)) {
    switch (waiting->phase) {
      case WaitPhase::asked:
      case WaitPhase::asked_again:
        for (std::size_t i = 0; i < waiting->asked; ++i) output_.silent(waiting->channels[i]);
        ++counters_.retried;
        table_.enter(
            *waiting,
            waiting->phase == WaitPhase::asked ? WaitPhase::asked_again : WaitPhase::last_chance,
            waiting->since);
        ask_next(*waiting, false);
        break;
      case WaitPhase::last_chance:
      case WaitPhase::streaming:
      case WaitPhase::parked:
        ++counters_.timed_out;
        fail(*waiting, Rcode::server_failure);
        if (waiting->phase == WaitPhase::parked)
          table_.release(*waiting);
        else
          finish(*waiting);
        break;
      case WaitPhase::free:
        return;
    }
  }
}

TimePoint Interceptor::next_deadline() const {
  return table_.next_deadline();
}

}  // namespace i3
