#include "overlay/client/records.hh"

#include <algorithm>
#include <utility>

namespace i3::client {
namespace {

constexpr Duration kPatience = std::chrono::milliseconds(400);
constexpr Duration kNoEntry = std::chrono::seconds(1);  // until an entry node may be alive
constexpr unsigned kTries = 3;
constexpr unsigned kMaxChallenges = 3;   // of one node; cookies live for a minute
constexpr std::size_t kNodesAPlace = 3;  // the owner and its replicas

// About that long: hosts do not march in step.
TimePoint about(Random& random, TimePoint now, Duration wait) {
  return now + backoff(random, 1, wait, wait);
}

bool same_records(const std::vector<KeptRecord>& one, const std::vector<KeptRecord>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const KeptRecord& a, const KeptRecord& b) {
                      return a.record.says_as(b.record) && a.publish == b.publish;
                    });
}

}  // namespace

bool Records::Leg::over() const {
  return next == kNever && std::all_of(exchanges.begin(), exchanges.end(),
                                       [](const Exchange& one) { return one.next == kNever; });
}

void Records::watch(const std::vector<PublicKey>& keys, TimePoint now) {
  std::vector<Subject*> before;
  for (auto& [key, subject] : subjects_)
    if (std::exchange(subject.watched, false)) before.push_back(&subject);
  for (const PublicKey& key : keys) {
    if (!subjects_.contains(key) && subjects_.size() >= kMaxSubjects) {
      ++core_.counters.records_full;
      continue;
    }
    Subject& subject = subjects_[key];
    subject.watched = true;
    if (subject.next_ask == kNever) subject.next_ask = now;
  }
  for (Subject* subject : before)
    if (!subject->watched) subject->next_ask = kNever;
  find_next();
}

void Records::ask(const PublicKey& key, TimePoint now) {
  if (!subjects_.contains(key) && subjects_.size() >= kMaxSubjects) {
    ++core_.counters.records_full;
    return;
  }
  Subject& subject = subjects_[key];
  if (subject.asked != TimePoint{} && now < subject.asked + kAskedApart) return;
  subject.next_ask = now;
  next_due_ = std::min(next_due_, now);
}

void Records::keep(const std::vector<KeptRecord>& records, TimePoint now) {
  std::map<PublicKey, std::vector<KeptRecord>> before;
  for (auto& [key, subject] : subjects_) before[key] = std::exchange(subject.kept, {});
  for (const KeptRecord& one : records) {
    if (!subjects_.contains(one.record.key) && subjects_.size() >= kMaxSubjects) {
      ++core_.counters.records_full;
      continue;
    }
    subjects_[one.record.key].kept.push_back(one);
  }
  for (auto& [key, subject] : subjects_) {
    const bool publish = std::any_of(subject.kept.begin(), subject.kept.end(),
                                     [](const KeptRecord& one) { return one.publish; });
    if (!publish) subject.next_put = kNever;
    // Something new to say does not wait for the beat of what was said before.
    const bool same = same_records(before[key], subject.kept);
    if (!same) subject.nodes = 0;
    if (publish && (!same || subject.next_put == kNever)) subject.next_put = now;
  }
  find_next();
}

std::size_t Records::nodes_with(const PublicKey& key) const {
  const auto found = subjects_.find(key);
  return found == subjects_.end() ? 0 : found->second.nodes;
}

void Records::find_next() {
  next_due_ = kNever;
  for (const auto& [key, subject] : subjects_)
    next_due_ = std::min({next_due_, subject.next_ask, subject.next_put});
}

void Records::begin(const PublicKey& key, std::optional<KeyRecord> put, TimePoint now) {
  Task& task = tasks_.emplace_back();
  task.key = key;
  task.put = std::move(put);
  for (std::size_t which = 0; which < task.legs.size(); ++which)
    look_up(task, task.legs[which], which, now);
}

void Records::begin_puts(const PublicKey& key, TimePoint now) {
  const auto kept = subjects_[key].kept;
  for (const KeptRecord& one : kept) begin(key, one.record, now);
}

void Records::look_up(const Task& task, Leg& leg, std::size_t which, TimePoint now) {
  const auto entry =
      entries_.trusted(leg.tries == 0 ? std::nullopt : std::optional<Endpoint>(leg.asked));
  leg.next = now + kPatience;
  ++leg.tries;
  if (!entry) return;
  leg.nonce = core_.nonce();
  leg.asked = *entry;
  ++core_.counters.lookups;
  core_.send(*entry, wire::Lookup{leg.nonce, public_id(task.key, which).ring()});
}

bool Records::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now) {
  for (Task& task : tasks_)
    for (std::size_t which = 0; which < task.legs.size(); ++which) {
      Leg& leg = task.legs[which];
      if (leg.next == kNever || leg.nonce != reply.nonce || leg.asked != from ||
          public_id(task.key, which).ring() != reply.position)
        continue;
      cache_.learn(reply.contacts);
      if (reply.contacts.empty()) return true;  // asked again in its turn
      leg.next = kNever;
      for (const wire::NodeContact& contact : reply.contacts)
        if (const auto at = core_.reachable(contact); at && leg.candidates.size() < kNodesAPlace)
          leg.candidates.push_back(*at);
      std::reverse(leg.candidates.begin(), leg.candidates.end());  // nearest last
      while (open(task, leg, now) && task.put) {
      }
      finish_ended(now);
      return true;
    }
  return false;
}

// The next node of that place that the task has not met; false where there is none.
bool Records::open(const Task& task, Leg& leg, TimePoint now) {
  while (!leg.candidates.empty()) {
    const Endpoint to = leg.candidates.back();
    leg.candidates.pop_back();
    const bool met = std::any_of(task.legs.begin(), task.legs.end(), [&](const Leg& one) {
      return std::any_of(one.exchanges.begin(), one.exchanges.end(),
                         [&](const Exchange& exchange) { return exchange.to == to; });
    });
    if (met) continue;
    Exchange& exchange = leg.exchanges.emplace_back();
    exchange.to = to;
    send(task, exchange, now);
    return true;
  }
  return false;
}

void Records::send(const Task& task, Exchange& exchange, TimePoint now) {
  if (exchange.nonce == 0) exchange.nonce = core_.nonce();
  ++exchange.tries;
  exchange.next = now + kPatience;
  if (task.put)
    core_.send(exchange.to, wire::RecordPut{exchange.nonce, exchange.cookie, *task.put});
  else
    core_.send(exchange.to, wire::RecordAsk{exchange.nonce, task.key});
}

template <class Use>
bool Records::with(const Endpoint& from, std::uint64_t nonce, Use&& use) {
  for (Task& task : tasks_)
    for (Leg& leg : task.legs)
      for (Exchange& exchange : leg.exchanges)
        if (exchange.next != kNever && exchange.nonce == nonce && exchange.to == from)
          return use(task, leg, exchange);
  return false;
}

bool Records::on_challenge(const Endpoint& from, const wire::Challenge& challenge, TimePoint now) {
  const bool ours = with(from, challenge.nonce, [&](Task& task, Leg&, Exchange& exchange) {
    if (!task.put || exchange.cookie == challenge.cookie) return task.put.has_value();
    if (++exchange.challenges > kMaxChallenges) {
      exchange.next = kNever;
      return true;
    }
    exchange.cookie = challenge.cookie;
    send(task, exchange, now);
    return true;
  });
  if (ours) finish_ended(now);
  return ours;
}

bool Records::on_refused(const Endpoint& from, const wire::Refused& refused, TimePoint now) {
  const bool ours = with(from, refused.nonce, [&](Task& task, Leg& leg, Exchange& exchange) {
    exchange.next = kNever;
    ++core_.counters.refused;
    if (!task.put) open(task, leg, now);
    return true;
  });
  if (ours) finish_ended(now);
  return ours;
}

bool Records::on_kept(const Endpoint& from, const wire::RecordKept& kept, TimePoint now) {
  const bool ours = with(from, kept.nonce, [&](Task& task, Leg&, Exchange& exchange) {
    if (!task.put) return false;
    exchange.next = kNever;
    ++task.nodes;
    return true;
  });
  if (ours) finish_ended(now);
  return ours;
}

bool Records::on_records(const Endpoint& from, const wire::Records& records, TimePoint now) {
  const bool ours = with(from, records.nonce, [&](Task& task, Leg&, Exchange& exchange) {
    if (task.put || records.key != task.key) return false;
    exchange.next = kNever;
    for (const KeptRecord& one : subjects_[task.key].kept)
      if (std::none_of(records.records.begin(), records.records.end(),
                       [&](const KeyRecord& record) { return record.says_as(one.record); }))
        task.lacking = true;
    for (const KeyRecord& record : records.records) {
      const bool known = std::any_of(task.found.begin(), task.found.end(),
                                     [&](const auto& one) { return one.says_as(record); });
      if (known) continue;
      if (record.valid())
        task.found.push_back(record);
      else
        ++core_.counters.bad_signature;
    }
    return true;
  });
  if (ours) finish_ended(now);
  return ours;
}

void Records::on_time(Task& task, Leg& leg, std::size_t which, TimePoint now) {
  if (now >= leg.next) {
    leg.next = kNever;
    if (leg.tries < kTries) look_up(task, leg, which, now);
  }
  bool silent = false;
  for (Exchange& exchange : leg.exchanges) {
    if (now < exchange.next) continue;
    exchange.next = kNever;
    if (exchange.tries < kTries)
      send(task, exchange, now);
    else
      silent = true;
  }
  if (silent && !task.put) open(task, leg, now);
}

void Records::on_timer(TimePoint now) {
  for (Task& task : tasks_)
    for (std::size_t which = 0; which < task.legs.size(); ++which)
      on_time(task, task.legs[which], which, now);
  finish_ended(now);
}

// What was found may have the host ask for more.
void Records::finish_ended(TimePoint now) {
  std::vector<Task> ended;
  std::erase_if(tasks_, [&](Task& task) {
    if (!task.legs[0].over() || !task.legs[1].over()) return false;
    ended.push_back(std::move(task));
    return true;
  });
  for (Task& task : ended) {
    Subject& subject = subjects_[task.key];
    if (task.put) {
      subject.nodes = task.nodes;
      continue;
    }
    if (!task.found.empty()) core_.events.on_records(task.key, task.found, now);
    if (task.lacking) begin_puts(task.key, now);
  }
  begin_due(now);
}

void Records::begin_due(TimePoint now) {
  if (now < next_due_ || tasks_.size() >= kMaxTasks) return;
  if (!entries_.best()) {
    next_due_ = now + kNoEntry;
    return;
  }
  for (auto& [key, subject] : subjects_) {
    if (tasks_.size() >= kMaxTasks) break;
    if (now >= subject.next_put) {
      subject.next_put = about(core_.random, now, kPutEvery);
      begin_puts(key, now);
    }
    if (now >= subject.next_ask) {
      subject.next_ask = subject.watched ? about(core_.random, now, kAskEvery) : kNever;
      subject.asked = now;
      begin(key, std::nullopt, now);
    }
  }
  std::erase_if(subjects_, [&](const auto& one) {
    const Subject& subject = one.second;
    return !subject.watched && subject.kept.empty() && subject.next_ask == kNever &&
           now >= subject.asked + kAskedApart;
  });
  find_next();
}

TimePoint Records::deadline() const {
  TimePoint first = tasks_.size() < kMaxTasks ? next_due_ : kNever;
  for (const Task& task : tasks_)
    for (const Leg& leg : task.legs) {
      first = std::min(first, leg.next);
      for (const Exchange& exchange : leg.exchanges) first = std::min(first, exchange.next);
    }
  return first;
}

}  // namespace i3::client
