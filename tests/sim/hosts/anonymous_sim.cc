// Visits that nobody can link: what the visited host and its nodes see of two of them has no more
// in common than what they see of visits by two different hosts.
#include <doctest/doctest.h>
#include <set>

#include "overlay/wire/ring_messages.hh"
#include "proxy/packet/address_pool.hh"
#include "tests/sim/hosts/sim_visitor.hh"

namespace i3::sim {
namespace {

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
  explicit AnonymousWorld(std::uint64_t seed, std::size_t nodes = 12) : network(seed) {
    for (std::size_t i = 0; i < nodes; ++i) {
      ring.add();
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

void add_windows(Values& values, Bytes bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); ++i)
    values.insert(std::string(as_text(bytes.subspan(i, size))));
}

bool contains(Bytes bytes, Bytes what) {
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
void add_fields(Seen& seen, const Peer& peer, const std::vector<std::vector<std::uint8_t>>& inner) {
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
void add_short_fields(Seen& seen, Bytes datagram) {
  Bytes session;
  if (const auto labelled = wire::Labelled::parse(datagram)) {
    add_windows(seen.fields, datagram.subspan(wire::kHeaderSize + 4, 4), 4);
    session = labelled->payload;
  } else if (const auto packet = wire::IdPacket::parse(datagram)) {
    session = packet->payload;
  }
  if (session.size() >= 4) add_windows(seen.fields, session.first(4), 4);
}

Seen watch(AnonymousWorld& world, Visitor& visitor, const std::string& text,
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

Values names_of_nodes(AnonymousWorld& world) {
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

Values common(const Values& a, const Values& b) {
  Values both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}

// Values that visits of others do not show. A window that holds four bytes of what others show as
// well says nothing: those four are a constant, and the rest came out equal by chance.
Values linking_values(const Seen& first, const Seen& second, const Seen& b, const Seen& c) {
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

Values without(Values values, const Values& others) {
  for (const std::string& value : others) values.erase(value);
  return values;
}

// The visited host keeps triggers ahead of need: what it was told of one during one visit comes
// again with whoever is given that one next.
bool only_of_insertions(const Seen& seen, const std::string& value) {
  return std::all_of(seen.datagrams.begin(), seen.datagrams.end(), [&](const Datagram& one) {
    const auto header = wire::Header::parse(one.bytes);
    return !contains(one.bytes, as_bytes(value)) ||
           (header && header->type >= wire::Type::insert && header->type <= wire::Type::refreshed);
  });
}

// What one node gives another to show that it hears it: it lasts for minutes, whichever visit makes
// them look something up.
Values proofs_of_nodes(const Seen& seen) {
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

}  // namespace

TEST_CASE("an anonymous visit works both ways and shows the visited host a stranger") {
  AnonymousWorld world(seed_or(31));
  auto a = world.visitor(1);
  REQUIRE(world.talks(*a, "hello"));
  const auto heard = a->visits->texts(5000);
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].second == "to hello");
  CHECK(heard[0].first == a->visits->visits().meet("library")->ipv4.address());
  const auto row = a->visits->visits().status().at(0);
  CHECK(row.stands);
  CHECK(world.server->host().peers().find(a->host->key()) == nullptr);
  const Peer* seen = world.server->host().peers().find(row.identity);
  REQUIRE(seen != nullptr);
  CHECK(world.source_of("hello") == seen->ipv4.address());
  CHECK(seen->their_candidates.empty());
  CHECK_FALSE(seen->welcomes_shortcuts);
  CHECK(a->host->host().peers().size() == 0);
  CHECK(a->visits->visits().counters().not_to_relay == 0);
  CHECK(world.talks(*a, "over IPv6", "library", true));
}

TEST_CASE("a visit's socket sends to its relay and to nobody else") {
  AnonymousWorld world(seed_or(32));
  auto a = world.visitor(1);
  for (int visit = 0; visit < 3; ++visit) {
    for (int i = 0; i < 5; ++i) {
      CHECK(world.talks(*a, std::to_string(visit) + " " + std::to_string(i)));
      world.network.run_for(40s);  // new keys are due within
    }
    CHECK(a->visits->renew("library"));
  }
  CHECK(a->visits->sockets.size() == 4);
  for (const auto& [socket, nodes] : a->visits->sent_to)
    if (socket != 0) CHECK(nodes.size() == 1);  // 0 looks for relays
  CHECK(a->visits->visits().counters().not_to_relay == 0);
}

TEST_CASE(
    "what the visited host and its nodes see of two visits of one host links them no more "
    "than visits of two hosts") {
  AnonymousWorld world(seed_or(33));
  auto a = world.visitor(1);
  auto b = world.visitor(2);
  auto c = world.visitor(3);
  const Seen first = watch(world, *a, "a1 ");
  REQUIRE(a->visits->renew("library"));
  world.network.run_for(60s);
  const Seen second = watch(world, *a, "a2 ");
  REQUIRE(a->visits->renew("library"));
  const Seen of_b = watch(world, *b, "b1 ");
  REQUIRE(b->visits->renew("library"));
  const Seen of_c = watch(world, *c, "c1 ");

  CHECK(first.identity != second.identity);
  CHECK(first.virtual4 != second.virtual4);

  // Whatever both visits of one host have in common, visits of others have too: the visited host's
  // own values, the nodes' names, constants of the protocol.
  Values linking = without(linking_values(first, second, of_b, of_c), proofs_of_nodes(first));
  std::erase_if(linking, [&](const std::string& value) {
    return only_of_insertions(first, value) || only_of_insertions(second, value);
  });
  for (const std::string& value : linking) MESSAGE(hex(as_bytes(value)));
  CHECK(linking.empty());
  // Relays are drawn at random, so now and then one comes twice: its name is everybody's to know.
  const Values linking_fields =
      without(without(without(common(first.fields, second.fields), of_b.fields), of_c.fields),
              names_of_nodes(world));
  for (const std::string& value : linking_fields) MESSAGE(hex(as_bytes(value)));
  CHECK(linking_fields.empty());

  // Nobody but the relay sees where the visitor is, in an address field or anywhere else.
  for (const Seen* seen : {&first, &second})
    for (const Datagram& one : seen->datagrams) {
      for (const IpAddress& address : {a->outside, a->inside}) {
        CHECK(one.from.address != address);
        CHECK(one.to.address != address);
        CHECK_FALSE(contains(one.bytes, Bytes(address.bytes).subspan(12)));
      }
    }

  // Nor do the two keep a common beat.
  for (const Seen* seen : {&first, &second}) CHECK(seen->refreshes.size() >= 4);
  const auto gap = [](const Seen& seen, std::size_t i) {
    return (seen.refreshes[i + 1] - seen.refreshes[i]) / 50ms;
  };
  int equal = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(gap(first, i) >= 99);  // 5 s and 10 s, and what the network's jitter takes or adds
    CHECK(gap(first, i) <= 201);
    if (gap(first, i) == gap(second, i)) ++equal;
  }
  CHECK(equal < 3);
}

TEST_CASE("the same comparison links two ordinary conversations of one host") {
  AnonymousWorld world(seed_or(34));
  auto a = world.visitor(1);
  auto b = world.visitor(2);
  const auto of = [&](Visitor& visitor, const std::string& text) {
    Seen seen;
    world.recorded.clear();
    world.server->received.clear();
    world.recording = true;
    visitor.host->send_udp(world.server->key(), 5000, 6000, text);
    CHECK(world.network.run_until([&] { return world.heard(text) != nullptr; }, 6s));
    world.network.run_for(5s);
    world.recording = false;
    const Peer* peer = world.server->host().peers().find(visitor.host->key());
    REQUIRE(peer != nullptr);
    add_fields(seen, *peer, world.server->received);
    for (const Datagram& one : world.recorded) {
      add_windows(seen.raw, one.bytes, 8);
      add_windows(seen.parts, one.bytes, 4);
    }
    return seen;
  };
  const Seen first = of(*a, "first"), second = of(*a, "second"), other = of(*b, "other");
  CHECK_FALSE(linking_values(first, second, other, other).empty());
  CHECK_FALSE(without(common(first.fields, second.fields), other.fields).empty());
}

TEST_CASE("bulk goes by two nodes only, in whole packets") {
  AnonymousWorld world(seed_or(40));
  auto a = world.visitor(1);
  for (int i = 0; i < 5; ++i) REQUIRE(world.talks(*a, std::to_string(i)));
  const auto before = a->visits->visits().status().at(0).overlay;
  const auto steps = [&] {
    std::uint64_t passed = 0;
    for (auto& node : world.ring.nodes()) {
      const auto counters = node->core().counters();
      if (auto found = counters.find("packets_passed_on"); found != counters.end())
        passed += found->second;
    }
    return passed;
  };
  const std::uint64_t steps_before = steps();
  for (int i = 0; i < 20; ++i)
    REQUIRE(world.talks(*a, std::string(1367, 'x') + std::to_string(10 + i)));
  const auto after = a->visits->visits().status().at(0).overlay;
  CHECK(after.by_way - before.by_way >= 18);
  CHECK(steps() - steps_before <= 20);
}

TEST_CASE("two anonymous names of one host share neither identity nor socket nor beat") {
  AnonymousWorld world(seed_or(35));
  auto a = world.visitor(1, {"library", "archive"});
  REQUIRE(world.talks(*a, "one", "library"));
  REQUIRE(world.talks(*a, "two", "archive"));
  const auto rows = a->visits->visits().status();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].identity != rows[1].identity);
  CHECK(rows[0].ipv4 != rows[1].ipv4);
  CHECK(world.source_of("one") != world.source_of("two"));
  CHECK(a->visits->sockets.size() == 3);
  // The ordinary conversation with the same host is a third one.
  a->host->send_udp(world.server->key(), 5000, 6000, "openly");
  REQUIRE(world.network.run_until([&] { return world.heard("openly") != nullptr; }, 6s));
  CHECK(world.server->host().peers().find(world.source_of("openly"))->key == a->host->key());
  CHECK(world.source_of("openly") != world.source_of("one"));
}

TEST_CASE("a visit goes on through another relay when its own dies, as the same stranger") {
  AnonymousWorld world(seed_or(36));
  auto a = world.visitor(1);
  REQUIRE(world.talks(*a, "before"));
  const auto before = a->visits->visits().status().at(0);
  for (std::size_t i = 0; i < world.ring.size(); ++i)
    if (world.ring[i].endpoint() == *before.relay) world.ring.kill(i--);
  world.network.run_for(25s);
  bool again = false;
  for (int i = 0; i < 10 && !again; ++i) again = world.talks(*a, "after" + std::to_string(i));
  CHECK(again);
  const auto after = a->visits->visits().status().at(0);
  CHECK(after.relay != before.relay);
  CHECK(after.identity == before.identity);
  CHECK(after.ipv4 == before.ipv4);
  CHECK(a->visits->visits().counters().relays_changed >= 1);
}

TEST_CASE("a visit that opens while its relay dies is answered as soon as there is another one") {
  // How long after its death the relay is given up; and, said so long after, whether there is an
  // answer within three seconds of the change.
  const auto run = [](std::optional<Duration> say_after, bool& answered) {
    AnonymousWorld world(seed_or(41));
    auto a = world.visitor(1);
    a->visits->visits().meet("library");
    world.network.run_for(3s);
    const auto relay = [&] { return a->visits->visits().status().at(0).relay; };
    const auto before = relay();
    REQUIRE(before);
    for (std::size_t i = 0; i < world.ring.size(); ++i)
      if (world.ring[i].endpoint() == *before) world.ring.kill(i--);
    const TimePoint died = world.network.now();
    if (say_after) {
      world.network.run_for(*say_after);
      a->visits->send_udp("library", 5000, 6000, "late", false);
    }
    world.network.run_until([&] { return relay() != before; }, 40s, 20ms);
    const Duration given_up = world.network.now() - died;
    if (!say_after) return given_up;
    world.network.run_until([&] { return world.heard("late") != nullptr; }, 2s, 20ms);
    if (world.heard("late") != nullptr) world.answer("late");
    answered = world.network.run_until([&] { return !a->visits->texts(5000).empty(); }, 1s, 20ms);
    return given_up;
  };
  bool answered = false;
  const Duration given_up = run(std::nullopt, answered);
  REQUIRE(given_up > 1s);
  run(given_up - 500ms, answered);
  CHECK(answered);
}

TEST_CASE("a renewed name is a new visit, and the old address leads nowhere") {
  AnonymousWorld world(seed_or(37));
  auto a = world.visitor(1);
  REQUIRE(world.talks(*a, "first"));
  const auto first = a->visits->visits().status().at(0);
  CHECK(a->visits->renew("library"));
  CHECK_FALSE(a->visits->visits().name_at(first.ipv4.address()));
  CHECK(a->visits->visits().status().empty());
  REQUIRE(world.talks(*a, "second"));
  const auto second = a->visits->visits().status().at(0);
  CHECK(first.identity != second.identity);
  CHECK(first.ipv4 != second.ipv4);
  CHECK(world.source_of("first") != world.source_of("second"));
}

TEST_CASE("the relay is none of the nodes that hold the visited host's public triggers") {
  AnonymousWorld world(seed_or(38));
  auto a = world.visitor(1);
  for (int i = 0; i < 12; ++i) {
    REQUIRE(a->visits->visits().meet("library"));
    const auto row = a->visits->visits().status().at(0);
    REQUIRE(row.relay);
    for (std::size_t which : {0, 1})
      CHECK(world.ring.owner_of(public_id(world.server->key(), which).ring()).endpoint() !=
            *row.relay);
    a->visits->renew("library");
    world.network.run_for(3s);
  }
}

TEST_CASE("without any node a packet for a visit is answered as unreachable") {
  AnonymousWorld world(seed_or(39));
  auto a = world.visitor(1);
  while (world.ring.size() > 0) world.ring.kill(0);
  world.network.run_for(60s);
  a->visits->send_udp("library", 5000, 6000, "nobody");
  const auto unreachable = [&] {
    for (const auto& bytes : a->visits->received) {
      auto view = IpView::parse(bytes);
      if (view && view->is_icmp() && view->icmp_type() == 3) return true;
    }
    return false;
  };
  CHECK(world.network.run_until(unreachable, 20s));
}

}  // namespace i3::sim
