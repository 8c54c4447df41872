// Owns the fixture of the session tests: two hosts, a clock, and messages carried by hand.
#pragma once

#include <doctest/doctest.h>
#include <memory>
#include <string>

#include "overlay/session/sessions.hh"

namespace i3::session_test {

using Message = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

inline Message bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

// One host; `other` is the handle under which it knows the other one.
struct Host {
  Host(std::uint64_t seed, PeerHandle other_handle, const SessionOptions& with)
      : random(seed), identity(Identity::generate(random)), options(with), other(other_handle) {
    restart();
  }
  // Loses every session, keeps the key.
  void restart() { sessions = std::make_unique<Sessions>(*identity, random, options); }

  SeededRandom random;
  std::unique_ptr<Identity> identity;
  SessionOptions options;
  PeerHandle other;
  std::unique_ptr<Sessions> sessions;
  Message opened;  // what the last receive() worked on
};

struct TwoHosts {
  explicit TwoHosts(const SessionOptions& for_a = {}, const SessionOptions& for_b = {})
      : a(1, 70, for_a), b(2, 90, for_b) {}

  Host a;
  Host b;
  TimePoint now{1000h};
  Psk psk_a = kNoPsk;
  Psk psk_b = kNoPsk;
  std::uint64_t stamp = 1'000'000;

  Host& peer_of(Host& host) { return &host == &a ? b : a; }

  Message first_with_stamp(Host& from, std::uint64_t with, std::string_view payload = "hello") {
    Message out(4096);
    out.resize(from.sessions->initiate(from.other, peer_of(from).identity->key(),
                                       &from == &a ? psk_a : psk_b, with, as_bytes(payload), out,
                                       now));
    return out;
  }
  Message first(Host& from, std::string_view payload = "hello") {
    return first_with_stamp(from, ++stamp, payload);
  }
  Received give(Host& to, SessionKind kind, const Message& message,
                std::string_view source = "from") {
    to.opened = message;
    return to.sessions->receive(kind, to.opened, as_bytes(source), now);
  }
  Message respond(Host& by, const FirstMessage& to, bool early = true,
                  std::string_view payload = "welcome") {
    Message out(4096);
    out.resize(by.sessions->respond(to, by.other, early, as_bytes(payload), out, now,
                                    &by == &a ? psk_a : psk_b));
    return out;
  }
  // Receives a first message, which must be authentic, and answers it.
  Message answer(Host& by, const Message& message, bool early = true) {
    Received received = give(by, SessionKind::first, message);
    REQUIRE(std::holds_alternative<FirstMessage>(received));
    return respond(by, std::get<FirstMessage>(received), early);
  }
  // Empty when the host has no session to seal with.
  Message sealed(Host& from, std::string_view text) {
    Message out(kTransportOverhead + text.size());
    std::copy(text.begin(), text.end(), out.begin() + kTransportHeader);
    if (!from.sessions->seal(from.other, out, now)) out.clear();
    return out;
  }
  // The plaintext, or the verdict's name in angle brackets.
  std::string open(Host& to, const Message& message) {
    Received received = give(to, SessionKind::transport, message);
    if (auto* data = std::get_if<Data>(&received)) return std::string(as_text(data->plaintext));
    if (auto* drop = std::get_if<Drop>(&received))
      return "<" + std::string(name_of(drop->verdict)) + ">";
    return "<other>";
  }
  std::string send(Host& from, std::string_view text) {
    const Message message = sealed(from, text);
    return message.empty() ? "<none>" : open(peer_of(from), message);
  }
  // The whole handshake, confirmed by an empty transport message.
  void shake(Host& from) {
    Host& to = peer_of(from);
    const Message second = answer(to, first(from));
    REQUIRE(std::holds_alternative<Established>(give(from, SessionKind::second, second)));
    REQUIRE(send(from, "") == "");
  }
  void pass(Duration time) {
    now += time;
    a.sessions->expire(now);
    b.sessions->expire(now);
  }
};

inline std::string_view verdict_of(const Received& received) {
  const auto* drop = std::get_if<Drop>(&received);
  return drop ? name_of(drop->verdict) : "not dropped";
}

}  // namespace i3::session_test
