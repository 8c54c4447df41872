// The second thread of a data path, and what is lent to it.
#include "overlay/node/io_thread.hh"

#include <array>
#include <doctest/doctest.h>
#include <numeric>
#include <poll.h>
#include <vector>

#include "overlay/node/banks.hh"
#include "overlay/node/outbox.hh"
#include "overlay/node/udp_socket.hh"

using namespace i3;

namespace {

// What arrived at the far end of one descriptor: the values of the packets, as they were when they
// left.
std::vector<std::uint32_t> arrived;

// Packets of one number each, borrowed.
struct Numbers {
  std::vector<const std::uint32_t*> packets;
  std::size_t sent = 0;

  bool empty() const { return packets.empty(); }
  bool few() const { return packets.size() <= 2; }
  void flush(int) {
    for (const std::uint32_t* one : packets) arrived.push_back(*one);
    sent += packets.size();
    packets.clear();
  }
};

struct NumbersOut {
  IoThread thread;
  Banks banks{64 * sizeof(std::uint32_t)};
  std::size_t settled = 0;
  Outbox<Numbers> box{[] { return std::make_unique<Numbers>(); },
                      [this](Numbers& batch) { settled += std::exchange(batch.sent, 0); }};
  std::uint32_t next = 0;

  NumbersOut() {
    arrived.clear();
    banks.use(thread);
    box.use(thread);
  }
  ~NumbersOut() { thread.stop(); }

  void turn(std::size_t packets) {
    auto* room = reinterpret_cast<std::uint32_t*>(banks.next().data());
    for (std::size_t i = 0; i < packets; ++i) {
      room[i] = next++;
      box.open().packets.push_back(room + i);
    }
    box.flush(0);
  }
  bool all_in_order() const {
    std::vector<std::uint32_t> expected(next);
    std::iota(expected.begin(), expected.end(), 0u);
    return arrived == expected;
  }
};

}  // namespace

TEST_CASE("jobs are done in the order of giving, each once") {
  IoThread thread;
  REQUIRE(thread.serve());
  static std::vector<std::size_t> done;
  done.clear();
  std::array<std::size_t, 1000> numbers{};
  std::iota(numbers.begin(), numbers.end(), 0u);
  for (std::size_t& number : numbers)
    thread.give([](void* what) { done.push_back(*static_cast<std::size_t*>(what)); }, &number);
  thread.rest();
  CHECK(thread.idle());
  CHECK_FALSE(thread.serves());
  CHECK(done == std::vector<std::size_t>(numbers.begin(), numbers.end()));
}

TEST_CASE("a thread that rested serves again, and ends with what was given") {
  static int runs;
  runs = 0;
  {
    IoThread thread;
    for (int round = 0; round < 3; ++round) {
      REQUIRE(thread.serve());
      const IoThread::Ticket ticket = thread.give([](void*) { ++runs; }, nullptr);
      thread.wait(ticket);
      CHECK(thread.done(ticket));
      CHECK(runs == round + 1);
      thread.rest();
    }
    REQUIRE(thread.serve());
    thread.give([](void*) { ++runs; }, nullptr);
  }
  CHECK(runs == 4);
}

TEST_CASE("its time is its own") {
  IoThread thread;
  CHECK(thread.cpu_time() == Duration::zero());
  REQUIRE(thread.serve());
  thread.wait(thread.give(
      [](void*) {
        volatile unsigned work = 0;
        for (int i = 0; i < 100'000; ++i) work = work + 1;
      },
      nullptr));
  CHECK(thread.cpu_time() > Duration::zero());
}

TEST_CASE("what is lent is sent as it was, and in order, whoever sends") {
  NumbersOut out;
  for (std::uint32_t round = 0; round < 20'000; ++round) {
    if (round % 997 == 0) REQUIRE(out.thread.serve());
    if (round % 997 == 700) out.thread.rest();
    out.turn(1 + round % 64);
  }
  out.thread.rest();
  CHECK(out.all_in_order());
}

TEST_CASE("each batch is settled before it is filled anew") {
  NumbersOut out;
  REQUIRE(out.thread.serve());
  for (std::uint32_t round = 0; round < 1000; ++round) out.turn(10);
  out.thread.rest();
  // All but those of the batches that no turn came back to.
  CHECK(out.settled >= 10 * (1000 - Outbox<Numbers>::kBatches));
}

TEST_CASE("a bank is kept while nothing of it is under way") {
  IoThread thread;
  Banks banks(100);
  banks.use(thread);
  const auto* first = banks.now().data();
  CHECK(banks.next().data() == first);
  REQUIRE(thread.serve());
  CHECK(banks.next().data() == first);
  static std::atomic<bool> go;
  go = false;
  thread.give([](void*) { go.wait(false); }, nullptr);
  CHECK(banks.next().data() == first + 100);
  CHECK(banks.all().size() == 100 * Banks::kBanks);
  go = true;
  go.notify_one();
  thread.rest();
  CHECK(banks.next().data() == first + 100);
}

TEST_CASE("a socket's datagrams keep their order on the second thread") {
  constexpr std::uint32_t kRounds = 500, kEach = 40;
  IoThread thread;
  UdpSocket from(UdpSocket::bind(*Endpoint::parse("127.0.0.1:0"), false));
  UdpSocket to(UdpSocket::bind(*Endpoint::parse("127.0.0.1:0"), false));
  from.use(thread);
  to.use(thread);
  Banks lent(kEach * sizeof(std::uint32_t));
  lent.use(thread);
  REQUIRE(thread.serve());
  std::uint32_t sent = 0, heard = 0, wrong = 0;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const MutBytes room = lent.next();
    for (std::uint32_t i = 0; i < kEach; ++i, ++sent) {
      const MutBytes one = room.subspan(i * sizeof sent, sizeof sent);
      std::memcpy(one.data(), &sent, sizeof sent);
      from.send(to.local(), one, i % 3 != 0);
    }
    from.flush();
    while (heard < sent) {
      pollfd ready{to.fd(), POLLIN, 0};
      REQUIRE(::poll(&ready, 1, 5000) == 1);
      for (const UdpSocket::Datagram& datagram : to.receive()) {
        std::uint32_t value = 0;
        REQUIRE(datagram.bytes.size() == sizeof value);
        std::memcpy(&value, datagram.bytes.data(), sizeof value);
        wrong += value != heard++;
      }
    }
  }
  thread.stop();
  CHECK(heard == kRounds * kEach);
  CHECK(wrong == 0);
  CHECK(from.send_failures() == 0);
}
