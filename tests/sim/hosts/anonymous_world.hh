// Owns the world of anonymous visits, and what an observer can see of them and compare.
#pragma once

#include <doctest/doctest.h>
#include <set>

#include "overlay/wire/ring_messages.hh"
#include "proxy/packet/address_pool.hh"
#include "tests/sim/hosts/sim_visitor.hh"

namespace i3::sim {

using namespace std::chrono_literals;
using Values = std::set<std::string>;

struct Datagram {
  TimePoint when;
  Endpoint from, to;
  std::vector<std::uint8_t> bytes;
};

// A host that visits, behind a NAT of its own.
struct Visitor {
  IpAddress outside, inside;
  std::unique_ptr<SimHost> host;
  std::unique_ptr<SimVisitor> visits;
  Endpoint main;  // its ordinary socket, inside
};

class AnonymousWorld {
 public:
  // The first `tls` nodes serve TLS.
  explicit AnonymousWorld(std::uint64_t seed, std::size_t nodes = 12, std::size_t tls = 0)
      : network(seed) {
    for (std::size_t i = 0; i < nodes; ++i) {
      ring.add(2, [&](NodeCoreSettings& settings) {
        if (i < tls) settings.contact.tls_port = 443;
      });
      network.run_for(1s);
    }
    network.run_until([this] { return ring.ideal(); }, 120s);
    HostPlan plan = plan_of("library");
    plan.allow = {{std::nullopt, Allow::Protocol::usual, {}}};
    server_at = *Endpoint::parse("198.51.100.250:4000");
    server = std::make_unique<SimHost>(network, network.add_host(), server_at, 1, plan);
    network.set_tap([this](const Endpoint& from, const Endpoint& to, Bytes bytes) {
      if (recording) recorded.push_back({network.now(), from, to, {bytes.begin(), bytes.end()}});
      return false;
    });
  }

  HostPlan plan_of(const std::string& name) {
    HostPlan plan;
    plan.name = name;
    for (auto& node : ring.nodes())
      if (plan.entries.size() < 3)
        plan.entries.push_back({node->endpoint(), node->identity().key()});
    return plan;
  }

  std::unique_ptr<Visitor> visitor(unsigned number, std::vector<std::string> names = {"library"}) {
    auto made = std::make_unique<Visitor>();
    made->outside = IpAddress::v4(0xcb007100 + number);
    made->inside = IpAddress::v4(0xc0a80002 + number * 256);
    made->main = {made->inside, 4000};
    const auto nat = network.add_nat(made->outside);
    made->host = std::make_unique<SimHost>(network, network.add_host(nat), made->main, 10 + number,
                                           plan_of("visitor"));
    std::vector<VisitName> visited;
    for (const std::string& name : names) visited.push_back({name, server->key()});
    made->visits =
        std::make_unique<SimVisitor>(network, *made->host, made->main, visited, 1000 + number);
    network.run_until(
        [&] {
          return made->host->host().client().ready() && server->host().client().ready() &&
                 made->visits->visits().relays().counters().ready >= RelayPool::kReady;
        },
        60s);
    return made;
  }

  // Says something until it is answered.
  bool talks(Visitor& visitor, const std::string& text, const std::string& name = "library",
             bool v6 = false) {
    const std::size_t before = visitor.visits->texts(5000).size();
    visitor.visits->send_udp(name, 5000, 6000, text, v6);
    if (!network.run_until([&] { return heard(text) != nullptr; }, 6s, 20ms)) return false;
    answer(text);
    return network.run_until([&] { return visitor.visits->texts(5000).size() > before; }, 6s, 20ms);
  }

  const std::vector<std::uint8_t>* heard(const std::string& text) const {
    for (const auto& bytes : server->received) {
      auto view = IpView::parse(bytes);
      if (view && view->is_udp() && as_text(view->transport().subspan(kUdpHeaderSize)) == text)
        return &bytes;
    }
    return nullptr;
  }
  IpAddress source_of(const std::string& text) const {
    return IpView::parse(*heard(text))->source();
  }

  void answer(const std::string& text) {
    const Peer* peer = server->host().peers().find(source_of(text));
    REQUIRE(peer != nullptr);
    server->send_udp(peer->key, 6000, 5000, "to " + text);
  }

  SimNetwork network;
  SimRing ring{network};
  Endpoint server_at;
  std::unique_ptr<SimHost> server;
  bool recording = false;
  std::vector<Datagram> recorded;
};

inline void add_windows(Values& values, Bytes bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); ++i)
    values.insert(std::string(as_text(bytes.subspan(i, size))));
}

inline bool contains(Bytes bytes, Bytes what) {
  return std::search(bytes.begin(), bytes.end(), what.begin(), what.end()) != bytes.end();
}

// What the visited host and all nodes but the visit's relay see during one visit.
struct Seen {
  Values raw;    // every eight bytes of every datagram
  Values parts;  // and every four
  Values
      fields;  // every four bytes of what the visited host reads, and the short fields on the way
  PublicKey identity;
  Endpoint relay;
  IpAddress virtual4;
  std::vector<Datagram> datagrams;
  std::vector<TimePoint> refreshes;  // as they left; the relay's alone to see
};

// What the visited host is told and keeps, field by field: a window over two of them would hold
// bytes that are alike by chance.
inline void add_fields(Seen& seen, const Peer& peer,
                       const std::vector<std::vector<std::uint8_t>>& inner) {
  add_windows(seen.fields, peer.key.bytes, 4);
  add_windows(seen.fields, peer.theirs.id.bytes, 4);
  for (const auto& at : peer.theirs.nodes) {
    std::array<std::uint8_t, 8> label;
    Writer writer(label);
    at.label.write(writer);
    add_windows(seen.fields, Bytes(label).subspan(4), 4);
  }
  add_windows(seen.fields, Bytes(peer.ipv4.address().bytes).subspan(12), 4);
  add_windows(seen.fields, Bytes(peer.ipv6.address().bytes).subspan(6), 4);
  for (const Endpoint& candidate : peer.their_candidates)
    add_windows(seen.fields, candidate.address.bytes, 4);
  // Of what its programs receive: identification, addresses and ports.
  for (const auto& packet : inner)
    for (std::size_t offset : {4, 12, 16, 20})
      add_windows(seen.fields, Bytes(packet).subspan(offset, 4), 4);
}

// A label's secret and the index of a session, the only values of four bytes in carriers.
inline void add_short_fields(Seen& seen, Bytes datagram) {
  Bytes session;
  if (const auto labelled = wire::Labelled::parse(datagram)) {
    add_windows(seen.fields, datagram.subspan(wire::kHeaderSize + 4, 4), 4);
    session = labelled->payload;
  } else if (const auto packet = wire::IdPacket::parse(datagram)) {
    session = packet->payload;
  }
  if (session.size() >= 4) add_windows(seen.fields, session.first(4), 4);
}

inline Seen watch(AnonymousWorld& world, Visitor& visitor, const std::string& text,
                  const std::string& name = "library") {
  Seen seen;
  world.recorded.clear();
  world.server->received.clear();
  world.recording = true;
  for (int i = 0; i < 4; ++i) {
    CHECK(world.talks(visitor, text + std::to_string(i), name));
    world.network.run_for(12s);
  }
  world.recording = false;
  const auto status = visitor.visits->visits().status();
  const auto row = std::find_if(status.begin(), status.end(),
                                [&](const Visits::Status& one) { return one.name == name; });
  REQUIRE(row != status.end());
  REQUIRE(row->relay);
  seen.identity = row->identity;
  seen.relay = *row->relay;
  const Peer* peer = world.server->host().peers().find(seen.identity);
  REQUIRE(peer != nullptr);
  seen.virtual4 = peer->ipv4.address();
  add_fields(seen, *peer, world.server->received);
  for (const Datagram& one : world.recorded) {
    // What the relay exchanges with the visitor is the relay's to see; what the visitor's ordinary
    // socket, and the one that looks for relays, exchange with nodes is no part of a visit.
    const bool visitors = one.from.address == visitor.outside || one.to.address == visitor.inside;
    if (visitors) {
      const auto refresh = wire::Refresh::parse(one.bytes);
      if (refresh && refresh->owner != visitor.host->key()) seen.refreshes.push_back(one.when);
      continue;
    }
    seen.datagrams.push_back(one);
    add_windows(seen.raw, one.bytes, 8);
    add_windows(seen.parts, one.bytes, 4);
    add_short_fields(seen, one.bytes);
  }
  return seen;
}

inline Values names_of_nodes(AnonymousWorld& world) {
  Values names;
  for (auto& node : world.ring.nodes()) {
    std::array<std::uint8_t, 128> storage;
    Writer writer(storage);
    writer.u8(1);
    node->core().contact().write(writer);
    add_windows(names, writer.written(), 4);
  }
  return names;
}

inline Values common(const Values& a, const Values& b) {
  Values both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}

// Values that visits of others do not show. A window that holds four bytes of what others show as
// well says nothing: those four are a constant, and the rest came out equal by chance.
inline Values linking_values(const Seen& first, const Seen& second, const Seen& b, const Seen& c) {
  Values linking;
  for (const std::string& value : common(first.raw, second.raw)) {
    bool constant = false;
    for (std::size_t i = 0; i + 4 <= value.size(); ++i) {
      const std::string part = value.substr(i, 4);
      constant = constant || b.parts.contains(part) || c.parts.contains(part);
    }
    if (!constant) linking.insert(value);
  }
  return linking;
}

inline Values without(Values values, const Values& others) {
  for (const std::string& value : others) values.erase(value);
  return values;
}

// The visited host keeps triggers ahead of need: what it was told of one during one visit comes
// again with whoever is given that one next.
inline bool only_of_insertions(const Seen& seen, const std::string& value) {
  return std::all_of(seen.datagrams.begin(), seen.datagrams.end(), [&](const Datagram& one) {
    const auto header = wire::Header::parse(one.bytes);
    return !contains(one.bytes, as_bytes(value)) ||
           (header && header->type >= wire::Type::insert && header->type <= wire::Type::refreshed);
  });
}

// What one node gives another to show that it hears it: it lasts for minutes, whichever visit makes
// them look something up.
inline Values proofs_of_nodes(const Seen& seen) {
  Values proofs;
  const auto add = [&](std::uint64_t proof) {
    std::array<std::uint8_t, 8> bytes;
    Writer(bytes).u64(proof);
    proofs.insert(std::string(as_text(bytes)));
  };
  for (const Datagram& one : seen.datagrams) {
    const auto message = wire::RingMessage::parse(one.bytes);
    if (!message) continue;
    if (message->kind == wire::RingKind::pong)
      if (const auto pong = wire::PongBody::parse(message->body)) add(pong->proof);
    if (message->kind == wire::RingKind::find)
      if (const auto find = wire::FindBody::parse(message->body)) add(find->proof);
  }
  return proofs;
}

}  // namespace i3::sim
