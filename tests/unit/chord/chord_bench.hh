// Owns the bench of one ring core: everything that it sends, and hand-made neighbours that answer.
#pragma once

#include <doctest/doctest.h>
#include <map>
#include <set>

#include "overlay/chord/chord.hh"

namespace i3::test {

using namespace std::chrono_literals;
using wire::RingKind;

inline wire::NodeContact contact(std::uint8_t number) {
  wire::NodeContact node;
  node.key.bytes[0] = number;
  node.v4 = Endpoint{IpAddress::v4(0x0b000000u + (std::uint32_t{number} << 8) + 1), 5100};
  return node;
}

// Everything that one Chord sends, and a way to answer it.
class Bench final : public ChordOutput {
 public:
  struct Sent {
    wire::NodeContact to;
    RingKind kind;
    std::vector<std::uint8_t> body;
    std::optional<wire::NodeContact> via;
  };

  Bench() : self(contact(1)), chord(ChordSettings{}, self, random, log, *this) {
    // Neighbours 2.. in the order of the ring, seen from ourselves.
    for (std::uint8_t i = 2; i < 40; ++i) others.push_back(contact(i));
    std::sort(others.begin(), others.end(), [&](const auto& a, const auto& b) {
      return a.ring_id().minus(self.ring_id()) < b.ring_id().minus(self.ring_id());
    });
  }

  void send(const wire::NodeContact& to, RingKind kind, Bytes body,
            const wire::NodeContact* via) override {
    sent.push_back({to, kind, {body.begin(), body.end()}, {}});
    if (via) sent.back().via = *via;
  }
  void probe(const Endpoint& to, std::uint64_t nonce) override { probes.push_back({to, nonce}); }
  void found(std::uint64_t, const std::vector<wire::NodeContact>& contacts) override {
    results.push_back(contacts);
  }
  void count(std::string_view what) override { ++counts[std::string(what)]; }

  void receive(const wire::NodeContact& from, RingKind kind, Bytes body,
               const wire::NodeContact* via = nullptr) {
    chord.on_message(from, kind, body, now, via);
  }
  template <class Body>
  void receive(const wire::NodeContact& from, RingKind kind, const Body& body,
               const wire::NodeContact* via = nullptr) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    body.write(writer);
    receive(from, kind, Bytes(writer.written()), via);
  }
  // The last message of a kind to a node; null if none.
  const Sent* last(const wire::NodeContact& to, RingKind kind) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it)
      if (it->to == to && it->kind == kind) return &*it;
    return nullptr;
  }
  void pong(const wire::NodeContact& from) {
    const Sent* ping = last(from, RingKind::ping);
    REQUIRE(ping);
    receive(from, RingKind::pong, wire::PongBody{wire::NonceBody::parse(ping->body)->nonce, 0});
  }
  void state(const wire::NodeContact& from, std::optional<wire::NodeContact> predecessor,
             std::vector<wire::NodeContact> successors) {
    const Sent* asked = last(from, RingKind::state_request);
    REQUIRE(asked);
    wire::StateBody body{wire::StateRequestBody::parse(asked->body)->nonce,
                         wire::StateBody::kSuccessors,
                         std::move(predecessor),
                         std::move(successors),
                         {}};
    receive(from, RingKind::state, body);
  }
  // The nonce that it was asked with last.
  std::uint64_t asked_of(const wire::NodeContact& node) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
      if (it->to != node) continue;
      if (it->kind == RingKind::state_request)
        return wire::StateRequestBody::parse(it->body)->nonce;
      if (it->kind == RingKind::ping) return wire::NonceBody::parse(it->body)->nonce;
    }
    return 0;
  }
  std::vector<Sent> finds() const {
    std::vector<Sent> result;
    for (const Sent& one : sent)
      if (one.kind == RingKind::find) result.push_back(one);
    return result;
  }
  bool asked_for_fingers(const wire::NodeContact& node) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
      if (it->to != node || it->kind != RingKind::state_request) continue;
      return wire::StateRequestBody::parse(it->body)->wants == wire::StateRequestBody::kFingers;
    }
    return false;
  }
  const Sent* relayed_to(const wire::NodeContact& node) const {
    for (const Sent& one : sent)
      if (one.to == node && one.via) return &one;
    return nullptr;
  }
  // It has answered a nonce of ours.
  void prove(const wire::NodeContact& node) {
    receive(node, RingKind::notify, Bytes());
    pong(node);
  }
  // Everybody but `silent` answers what was asked, and takes look-ups, which lead nowhere.
  void answer_all(const std::vector<wire::NodeContact>& silent = {}) {
    const auto asked = std::move(sent);
    sent.clear();
    for (const Sent& one : asked) {
      if (std::find(silent.begin(), silent.end(), one.to) != silent.end()) {
        sent.push_back(one);
        continue;
      }
      if (one.kind == RingKind::ping)
        receive(one.to, RingKind::pong, wire::PongBody{wire::NonceBody::parse(one.body)->nonce, 0});
      if (one.kind == RingKind::find)
        receive(one.to, RingKind::taken, wire::NonceBody{wire::FindBody::parse(one.body)->step});
      if (one.kind == RingKind::found) sent.push_back(one);
      if (one.kind == RingKind::state_request) {
        wire::StateBody state;
        state.nonce = wire::StateRequestBody::parse(one.body)->nonce;
        receive(one.to, RingKind::state, state);
      }
    }
  }
  // The entry answers probes, and look-ups along the path: with itself as the owner.
  void entry_answers(const wire::NodeContact& entry, std::vector<wire::NodeContact> contacts) {
    for (const auto& [to, nonce] : probes) {
      wire::ProbeReply reply;
      reply.nonce = nonce;
      reply.observed = *self.v4;
      reply.contact = entry;
      chord.on_probe_reply(reply, now);
    }
    probes.clear();
    for (const Sent& one : finds()) {
      const auto find = wire::FindBody::parse(one.body);
      receive(entry, RingKind::taken, wire::NonceBody{find->step});
      if (find->flags & wire::FindBody::kByPath)
        receive(entry, RingKind::found, wire::FoundBody{find->step, find->position, 1, contacts});
    }
  }
  void pass(Duration time) {
    const TimePoint end = now + time;
    while (chord.next_deadline() <= end) {
      now = std::max(now, chord.next_deadline());
      chord.on_timer(now);
    }
    now = end;
  }
  // Joins through `entry`, which says that it is the owner of our place.
  void join(const wire::NodeContact& entry, std::vector<wire::NodeContact> list) {
    chord.start({{*entry.v4, std::nullopt}}, now);
    wire::ProbeReply reply;
    reply.nonce = probes.back().second;
    reply.observed = *self.v4;
    reply.contact = entry;
    chord.on_probe_reply(reply, now);
    const Sent* find = last(entry, RingKind::find);
    REQUIRE(find);
    receive(entry, RingKind::found,
            wire::FoundBody{wire::FindBody::parse(find->body)->nonce, chord.id(), 1, {entry}});
    state(entry, std::nullopt, std::move(list));
  }

  SeededRandom random{1};
  Log log;
  TimePoint now{1h};
  wire::NodeContact self;
  std::vector<wire::NodeContact> others;
  std::vector<Sent> sent;
  std::vector<std::pair<Endpoint, std::uint64_t>> probes;
  std::vector<std::vector<wire::NodeContact>> results;
  std::map<std::string, int> counts;
  Chord chord;
};

}  // namespace i3::test
