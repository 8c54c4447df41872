// Visits that nobody can link: what the visited host and its nodes see of two of them has no more
// in common than what they see of visits by two different hosts.
#include "tests/sim/hosts/anonymous_world.hh"

namespace i3::sim {

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

TEST_CASE(
    "while UDP is blocked a relay serves TLS, and is not the node that the host itself uses") {
  AnonymousWorld world(31, 12, 5);
  auto a = world.visitor(1);
  const PublicKey used = world.ring[2].identity().key();
  a->visits->visits().set_tunnelled(true, world.ring[2].id());
  std::set<PublicKey> relays;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(world.talks(*a, "hello " + std::to_string(i)));
    const Endpoint relay = *a->visits->visits().status().front().relay;
    const auto node = std::find_if(world.ring.nodes().begin(), world.ring.nodes().end(),
                                   [&](const auto& one) { return one->endpoint() == relay; });
    REQUIRE(node != world.ring.nodes().end());
    CHECK((*node)->core().contact().tls_port == 443);
    CHECK((*node)->identity().key() != used);
    relays.insert((*node)->identity().key());
    REQUIRE(a->visits->renew("library"));
    world.network.run_for(3s);
  }
  CHECK(relays.size() > 1);
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
