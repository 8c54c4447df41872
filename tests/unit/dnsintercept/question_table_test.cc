#include "dnsintercept/question_table.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {
const TimePoint kStart{1000s};
const std::array<std::uint8_t, 30> kMessage{};
}  // namespace

TEST_CASE("the table refuses one question more than its bound, and takes it after a release") {
  QuestionTable table(2s, 4s, 5s, 5s);
  WaitingQuestion* last = nullptr;
  for (std::size_t i = 0; i < kMaxWaitingQuestions; ++i) {
    last = table.add({}, kMessage);
    REQUIRE(last);
    REQUIRE(table.assign_id(*last, static_cast<std::uint16_t>(i)));
    table.enter(*last, WaitPhase::asked, kStart);
  }
  CHECK_FALSE(table.add({}, kMessage));
  table.release(*last);
  CHECK(table.size() == kMaxWaitingQuestions - 1);
  CHECK(table.add({}, kMessage));
}

TEST_CASE("the table holds no more than its bytes, and gets them back") {
  QuestionTable table(2s, 4s, 5s, 5s);
  const std::vector<std::uint8_t> large(65535);
  std::vector<WaitingQuestion*> held;
  while (WaitingQuestion* next = table.add({}, large)) held.push_back(next);
  CHECK(held.size() == kMaxWaitingBytes / large.size());
  for (WaitingQuestion* waiting : held) table.release(*waiting);
  CHECK(table.size() == 0);
  CHECK(table.add({}, large));
}

TEST_CASE("an ID belongs to one question at a time") {
  QuestionTable table(2s, 4s, 5s, 5s);
  WaitingQuestion* first = table.add({}, kMessage);
  WaitingQuestion* second = table.add({}, kMessage);
  CHECK(table.assign_id(*first, 77));
  CHECK_FALSE(table.assign_id(*second, 77));
  CHECK(table.find(77) == first);
  table.release(*first);
  CHECK_FALSE(table.find(77));
  CHECK(table.assign_id(*second, 77));
}

TEST_CASE("questions fall due in the order of their phases' ends") {
  QuestionTable table(2s, 4s, 5s, 7s);
  CHECK(table.next_deadline() == kNever);
  WaitingQuestion* parked = table.add({}, kMessage);
  table.enter(*parked, WaitPhase::parked, kStart);
  CHECK(table.next_deadline() == kStart + 7s);
  WaitingQuestion* asked = table.add({}, kMessage);
  table.enter(*asked, WaitPhase::asked, kStart + 1s);
  CHECK(table.next_deadline() == kStart + 3s);
  CHECK_FALSE(table.due(kStart + 3s - 1ns));
  CHECK(table.due(kStart + 3s) == asked);
  table.enter(*asked, WaitPhase::asked_again, asked->since);
  CHECK(table.due(kStart + 5s) == asked);
  table.release(*asked);
  CHECK(table.due(kStart + 7s) == parked);
  CHECK(table.parked() == 1);
  table.release(*parked);
  CHECK(table.parked() == 0);
  CHECK(table.next_deadline() == kNever);
}
