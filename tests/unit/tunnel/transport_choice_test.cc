// When a host takes UDP, and when a tunnel.
#include "overlay/client/transport_choice.hh"

#include <doctest/doctest.h>
#include <vector>

using namespace i3;
using namespace std::chrono_literals;
using Way = TransportChoice::Way;
using State = TransportChoice::State;

namespace {

// A host before a network that may let UDP or TLS through, on simulated time.
struct Network {
  TransportChoice choice;
  bool udp = true, tls = true;
  Duration round_trip = 20ms;
  bool talks = false;    // datagrams go out all the time, and something comes back
  bool one_way = false;  // datagrams go out, and nothing has to come back
  TimePoint now{100s};
  TimePoint answer = kNever, dialled = kNever;
  bool tunnel = false;
  unsigned probes = 0;

  explicit Network(TransportChoice::Mode mode = TransportChoice::Mode::automatic) : choice(mode) {}

  void start() { choice.start(now); }
  void run(Duration time) {
    for (const TimePoint end = now + time; now < end; now += 10ms) step();
  }
  // Until the way is that one; how long it took.
  Duration until(Way way, Duration most = 120s) {
    const TimePoint begun = now;
    while (choice.way() != way && now < begun + most) {
      step();
      now += 10ms;
    }
    return now - begun;
  }
  void step() {
    if (talks && choice.way() == Way::udp) {
      choice.udp_sent(now);
      if (udp && !one_way) choice.udp_received();
    }
    if (choice.deadline() <= now && choice.on_timer(now)) {
      ++probes;
      if (udp) answer = std::min(answer, now + round_trip);
    }
    if (answer <= now) {
      answer = kNever;
      if (udp) choice.udp_answered(now);
    }
    if (choice.wants_tunnel() && !tunnel && tls) {
      if (dialled == kNever) dialled = now + 2 * round_trip;
      if (dialled <= now) {
        tunnel = true;
        choice.tunnel_opened(now);
      }
    }
    if (tunnel && (!choice.wants_tunnel() || !tls)) {
      tunnel = false;
      choice.tunnel_lost(now);
    }
    if (!choice.wants_tunnel() || tunnel) dialled = kNever;
  }
};

}  // namespace

TEST_CASE("where UDP works it is used, and no tunnel is opened") {
  Network network;
  network.start();
  for (int i = 0; i < 1000; ++i) {
    network.run(100ms);
    CHECK(network.choice.way() == Way::udp);
    CHECK_FALSE(network.choice.wants_tunnel());
  }
  CHECK(network.choice.state() == State::good);
  CHECK(network.probes < 10);
}

TEST_CASE("where UDP is blocked from the start a tunnel is used within two seconds") {
  Network network;
  network.udp = false;
  network.start();
  CHECK(network.until(Way::tls) < 2s);
  network.run(60s);
  CHECK(network.choice.way() == Way::tls);
  CHECK(network.choice.wants_tunnel());
}

TEST_CASE("UDP blocked in the middle of talk is noticed within two and a half seconds") {
  for (int i = 0; i < 40; ++i) {
    Network network;
    network.talks = true;
    network.start();
    network.run(15s + i * 330ms);
    network.udp = false;
    CHECK(network.until(Way::tls) < 2500ms);
  }
}

TEST_CASE("a host that says nothing notices at its next check") {
  Network network;
  network.start();
  network.run(30s);
  network.udp = false;
  CHECK(network.until(Way::tls) < TransportChoice::kQuietCheck + 2s);
}

TEST_CASE("sending without ever hearing anything back is no reason to leave UDP") {
  Network network;
  network.talks = network.one_way = true;
  network.start();
  network.run(60s);
  CHECK(network.choice.way() == Way::udp);
  CHECK_FALSE(network.choice.wants_tunnel());
  CHECK(network.probes < 80);
}

TEST_CASE("UDP that returns is used again after a few answers, and the tunnel lingers") {
  Network network;
  network.udp = false;
  network.start();
  network.until(Way::tls);
  network.run(20s);
  network.udp = true;
  const Duration back = network.until(Way::udp);
  CHECK(back > 1s);
  CHECK(back < 8s);
  CHECK(network.choice.wants_tunnel());
  network.run(TransportChoice::kLinger + 1s);
  CHECK_FALSE(network.choice.wants_tunnel());
  CHECK_FALSE(network.tunnel);
}

TEST_CASE("one answer among losses is not taken for UDP's return") {
  Network network;
  network.udp = false;
  network.start();
  network.until(Way::tls);
  for (int i = 0; i < 10; ++i) {
    network.choice.udp_answered(network.now);
    CHECK(network.choice.state() == State::returning);
    network.run(4s);
    CHECK(network.choice.way() == Way::tls);
  }
}

TEST_CASE("UDP that comes and goes is believed ever later") {
  Network network;
  network.talks = true;
  network.udp = false;
  network.start();
  network.until(Way::tls);
  std::vector<Duration> waits;
  for (int i = 0; i < 6; ++i) {
    network.udp = true;
    waits.push_back(network.until(Way::udp));
    network.run(3s);
    network.udp = false;
    network.until(Way::tls);
  }
  CHECK(waits.back() > waits.front() + 20s);
  CHECK(waits.back() < 45s);
  // After it lasted for once it is believed quickly again.
  network.udp = true;
  network.until(Way::udp);
  network.run(TransportChoice::kLasted + 10s);
  network.udp = false;
  network.until(Way::tls);
  network.udp = true;
  CHECK(network.until(Way::udp) < 8s);
}

TEST_CASE("without TLS nothing is gained by leaving UDP, and it goes on being tried") {
  Network network;
  network.udp = network.tls = false;
  network.start();
  network.run(120s);
  CHECK(network.choice.way() == Way::udp);
  CHECK(network.choice.wants_tunnel());
  CHECK(network.probes > 20);
  CHECK(network.probes < 60);
  network.udp = true;
  network.run(6s);
  CHECK(network.choice.state() == State::good);
  CHECK_FALSE(network.choice.wants_tunnel());
}

TEST_CASE("a tunnel that dies while UDP is back is left at the first answer") {
  Network network;
  network.udp = false;
  network.start();
  network.until(Way::tls);
  network.run(10s);
  network.tls = false;
  network.run(3s);
  CHECK(network.choice.way() == Way::tls);
  network.udp = true;
  CHECK(network.until(Way::udp) < 1s);
}

TEST_CASE("another network is judged anew") {
  Network network;
  network.udp = false;
  network.start();
  network.until(Way::tls);
  network.udp = true;
  network.choice.network_changed(network.now);
  CHECK(network.choice.way() == Way::udp);
  network.run(1s);
  CHECK(network.choice.state() == State::good);
}

TEST_CASE("a way that is set is kept, and can be set otherwise") {
  Network udp(TransportChoice::Mode::udp);
  udp.udp = false;
  udp.start();
  udp.run(60s);
  CHECK(udp.choice.way() == Way::udp);
  CHECK_FALSE(udp.choice.wants_tunnel());
  CHECK(udp.probes == 0);
  Network tls(TransportChoice::Mode::tls);
  CHECK(tls.choice.way() == Way::tls);
  tls.start();
  tls.run(60s);
  CHECK(tls.choice.way() == Way::tls);
  CHECK(tls.probes == 0);
  tls.choice.set_mode(TransportChoice::Mode::automatic, tls.now);
  tls.run(1s);
  CHECK(tls.choice.state() == State::good);
  CHECK(tls.choice.way() == Way::udp);
}
