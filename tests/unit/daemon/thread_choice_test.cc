// When a data path has a second thread.
#include "proxy/daemon/thread_choice.hh"

#include <doctest/doctest.h>

#include "proxy/daemon/data_threads.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

struct Machine {
  ThreadChoice choice;
  TimePoint now{1h};
  bool two = false;

  // One window after the other; whether there are two threads after the last.
  bool windows(unsigned count, const ThreadLoad& load) {
    for (unsigned i = 0; i < count; ++i) {
      now += ThreadChoice::kWindow;
      two = choice.two(load, now);
    }
    return two;
  }
  // Windows until there are two; 0: never within a thousand.
  unsigned until_two(const ThreadLoad& load) {
    for (unsigned i = 1; i <= 1000; ++i)
      if (windows(1, load)) return i;
    return 0;
  }
};

constexpr ThreadLoad kBusy{1.0, 0, 0.9, 1e9};
constexpr ThreadLoad kMore{0.9, 0.7, 0.1, 1.5e9};  // with two
constexpr ThreadLoad kSame{0.8, 0.6, 0.1, 1.02e9};

}  // namespace

TEST_CASE("one thread serves as long as it is enough") {
  Machine machine;
  CHECK(machine.until_two({0.8, 0, 1.0, 1e9}) == 0);
}

TEST_CASE("and where the machine has no processor to spare") {
  Machine machine;
  CHECK(machine.until_two({1.0, 0, 0.2, 1e9}) == 0);
}

TEST_CASE("a second one is kept where two carry more") {
  Machine machine;
  CHECK(machine.until_two(kBusy) == ThreadChoice::kWindows);
  CHECK(machine.windows(1000, kMore));
}

TEST_CASE("one busy window is not enough") {
  Machine machine;
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(machine.windows(2, kBusy));
    CHECK_FALSE(machine.windows(1, {0.5, 0, 1.0, 5e8}));
  }
}

TEST_CASE("a trial that carried no more ends, and is repeated ever more rarely") {
  Machine machine;
  unsigned before = 0;
  for (int trial = 0; trial < 8; ++trial) {
    const unsigned waited = machine.until_two(kBusy);
    REQUIRE(waited > 0);
    CHECK(waited >= before);
    before = waited;
    CHECK_FALSE(machine.windows(ThreadChoice::kWindows + 1, kSame));
  }
  CHECK(before == ThreadChoice::kLongestRest / ThreadChoice::kWindow);
}

TEST_CASE("a trial without traffic says nothing: the next one is as soon as the first") {
  Machine machine;
  REQUIRE(machine.until_two(kBusy) > 0);
  for (int trial = 0; trial < 8; ++trial) {
    CHECK_FALSE(machine.windows(1, {0.1, 0.1, 1.0, 1e7}));
    CHECK(machine.until_two(kBusy) == ThreadChoice::kFirstRest / ThreadChoice::kWindow);
  }
}

TEST_CASE("what is compared are the last windows before the trial, not all of a rest") {
  Machine machine;
  for (int trial = 0; trial < 7; ++trial) {
    REQUIRE(machine.until_two(kBusy) > 0);
    CHECK_FALSE(machine.windows(ThreadChoice::kWindows + 1, kSame));
  }
  // A minute of small packets, then bulk, of which two threads carry no more than one.
  CHECK_FALSE(machine.windows(600, {1.0, 0, 0.9, 1e8}));
  REQUIRE(machine.until_two(kBusy) > 0);
  CHECK_FALSE(machine.windows(ThreadChoice::kWindows + 1, kSame));
}

TEST_CASE("a thread that is busy with no traffic gets no second one") {
  Machine machine;
  CHECK(machine.until_two({1.0, 0, 0.9, 0}) == 0);
}

TEST_CASE("the machine is asked what it has to spare only when that counts") {
  Machine machine;
  CHECK(machine.choice.wants_spare(machine.now));
  REQUIRE(machine.until_two(kBusy) > 0);
  CHECK_FALSE(machine.choice.wants_spare(machine.now));
  REQUIRE(machine.windows(20, kMore));
  CHECK_FALSE(machine.choice.wants_spare(machine.now));
  machine.choice.set(1);
  machine.windows(1, kBusy);
  CHECK_FALSE(machine.choice.wants_spare(machine.now));
}

TEST_CASE("when the load goes there is one again after a second, not at the first pause") {
  Machine machine;
  REQUIRE(machine.until_two(kBusy) > 0);
  REQUIRE(machine.windows(20, kMore));
  const ThreadLoad calm{0.2, 0.1, 1.0, 1e8};
  CHECK(machine.windows(ThreadChoice::kCalmWindows - 1, calm));
  CHECK(machine.windows(1, kMore));
  CHECK(machine.windows(ThreadChoice::kCalmWindows - 1, calm));
  CHECK_FALSE(machine.windows(1, calm));
}

TEST_CASE("the settings have the last word") {
  Machine machine;
  machine.choice.set(2);
  CHECK(machine.windows(1, {}));
  machine.choice.set(1);
  CHECK(machine.until_two(kBusy) == 0);
  machine.choice.set(std::nullopt);
  CHECK(machine.until_two(kBusy) == ThreadChoice::kWindows);
}

TEST_CASE("the idle time of the processors that may be used") {
  const std::string_view stat =
      "cpu  500 0 400 3000 20 0 9 0 0 0\n"
      "cpu0 100 0 200 1000 5 0 9 0 0 0\n"
      "cpu1 200 0 100 1500 10 0 0 0 0 0\n"
      "cpu12 200 0 100 500 5 0 0 0 0 0\n"
      "intr 12345 1 2\nctxt 99\n";
  CHECK(idle_ticks(stat, [](unsigned) { return true; }) == 3020);
  // A last line that was cut off is none.
  CHECK(idle_ticks(stat.substr(0, stat.find("12 200")), [](unsigned) { return true; }) == 2515);
  CHECK(idle_ticks(stat, [](unsigned cpu) { return cpu == 12; }) == 505);
  CHECK(idle_ticks(stat, [](unsigned) { return false; }) == 0);
  CHECK(idle_ticks("", [](unsigned) { return true; }) == 0);
  CHECK(idle_ticks("cpu0 1 2\n", [](unsigned) { return true; }) == 0);
}
