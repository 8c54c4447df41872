#include "dnsintercept/question_table.hh"

#include <cassert>

namespace i3 {

namespace {
// A message's memory is kept for the next question unless it is larger than usual ones.
constexpr std::size_t kKeptCapacity = 1024;
}  // namespace

QuestionTable::QuestionTable(Duration asked, Duration asked_again, Duration last_chance,
                             Duration parked)
    : by_id_(65536) {
  const Duration lengths[kWaitPhases] = {asked, asked_again, last_chance, last_chance, parked};
  for (std::size_t i = 0; i < kWaitPhases; ++i) phases_[i].length = lengths[i];
}

WaitingQuestion* QuestionTable::add(const DnsClient& client, Bytes message) {
  if (used_ == kMaxWaitingQuestions || bytes_ + message.size() > kMaxWaitingBytes) return nullptr;
  if (free_.empty()) {
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  WaitingQuestion& waiting = slots_[index];
  waiting.client = client;
  waiting.message.assign(message.begin(), message.end());
  bytes_ += message.size();
  ++used_;
  waiting.phase = WaitPhase::free;
  waiting.streams = false;
  waiting.asked = waiting.failed = waiting.closed = waiting.next_server = 0;
  waiting.slot_ = index;
  return &waiting;
}

bool QuestionTable::assign_id(WaitingQuestion& waiting, std::uint16_t id) {
  if (by_id_[id] != 0) return false;
  by_id_[id] = static_cast<std::uint16_t>(waiting.slot_ + 1);
  waiting.id = id;
  waiting.has_id_ = true;
  return true;
}

void QuestionTable::enter(WaitingQuestion& waiting, WaitPhase phase, TimePoint since) {
  assert(phase != WaitPhase::free);
  leave(waiting);
  Queue& queue = phases_[static_cast<std::size_t>(phase)];
  waiting.phase = phase;
  waiting.since = since;
  waiting.previous_ = queue.last;
  waiting.next_ = kNone;
  (queue.last == kNone ? queue.first : slots_[queue.last].next_) = waiting.slot_;
  queue.last = waiting.slot_;
  if (phase == WaitPhase::parked) ++parked_;
}

void QuestionTable::leave(WaitingQuestion& waiting) {
  if (waiting.phase == WaitPhase::free) return;
  Queue& queue = phases_[static_cast<std::size_t>(waiting.phase)];
  (waiting.previous_ == kNone ? queue.first : slots_[waiting.previous_].next_) = waiting.next_;
  (waiting.next_ == kNone ? queue.last : slots_[waiting.next_].previous_) = waiting.previous_;
  if (waiting.phase == WaitPhase::parked) --parked_;
  waiting.phase = WaitPhase::free;
}

void QuestionTable::release(WaitingQuestion& waiting) {
  leave(waiting);
  if (waiting.has_id_) by_id_[waiting.id] = 0;
  waiting.has_id_ = false;
  bytes_ -= waiting.message.size();
  waiting.message.clear();
  if (waiting.message.capacity() > kKeptCapacity) waiting.message.shrink_to_fit();
  --used_;
  free_.push_back(waiting.slot_);
}

WaitingQuestion* QuestionTable::find(std::uint16_t id) {
  return by_id_[id] == 0 ? nullptr : &slots_[by_id_[id] - 1u];
}

WaitingQuestion* QuestionTable::due(TimePoint now) {
  for (Queue& queue : phases_)
    if (queue.first != kNone && slots_[queue.first].since + queue.length <= now)
      return &slots_[queue.first];
  return nullptr;
}

TimePoint QuestionTable::next_deadline() const {
  TimePoint earliest = kNever;
  for (const Queue& queue : phases_)
    if (queue.first != kNone)
      earliest = std::min(earliest, slots_[queue.first].since + queue.length);
  return earliest;
}

}  // namespace i3
