#include "proxy/host/anycast.hh"

#include <algorithm>

namespace i3 {
namespace {

// With a preference, others get so long to answer after the first.
constexpr Duration kLeastWait = std::chrono::milliseconds(20);
constexpr Duration kMostWait = std::chrono::milliseconds(200);
// If only such members answer that could not be reached a moment ago.
constexpr Duration kLastResort = std::chrono::milliseconds(500);

// Takes the first `bits` bits of `front` and the rest of `back`.
wire::Suffix spliced(const wire::Suffix& front, unsigned bits, const wire::Suffix& back) {
  wire::Suffix result = back;
  for (unsigned i = 0; i < bits && i < 128; ++i) {
    const auto mask = static_cast<std::uint8_t>(0x80u >> (i % 8));
    const auto kept = static_cast<std::uint8_t>(result[i / 8] & ~mask);
    result[i / 8] = static_cast<std::uint8_t>(kept | (front[i / 8] & mask));
  }
  return result;
}

unsigned common_bits(const wire::Suffix& a, const wire::Suffix& b, unsigned most) {
  unsigned bits = 0;
  while (bits < most && bits < 128 && ((a[bits / 8] ^ b[bits / 8]) & (0x80u >> (bits % 8))) == 0)
    ++bits;
  return bits;
}

Id with_suffix(const PublicKey& group, const wire::Suffix& suffix) {
  Id id = owner_prefix(group, 0);
  std::copy(suffix.begin(), suffix.end(), id.bytes.begin() + 16);
  return id;
}

bool better(const AnycastMember& one, const AnycastMember& other) {
  return one.common != other.common ? one.common > other.common : one.rtt < other.rtt;
}

}  // namespace

Id anycast_target(const AnycastGroup& group, Random& random) {
  return with_suffix(group.key, spliced(group.prefer, group.prefer_bits, random.array<16>()));
}

Id anycast_place(const PublicKey& group, const wire::Delegation& delegation) {
  const auto own = blake2b<16>("i3 group place", {delegation.member.bytes});
  return with_suffix(group, spliced(delegation.suffix, delegation.suffix_bits, own));
}

Anycast::Anycast(Random& random, Log& log, Ways ways)
    : random_(random), log_(log), ways_(std::move(ways)) {}

Anycast::Group* Anycast::find(const PublicKey& key) {
  for (Group& group : groups_)
    if (group.what.key == key) return &group;
  return nullptr;
}

const Anycast::Group* Anycast::find(const PublicKey& key) const {
  return const_cast<Anycast*>(this)->find(key);
}

std::optional<PublicKey> Anycast::use(const AnycastGroup& wanted, TimePoint now) {
  Group* group = find(wanted.key);
  if (group == nullptr) {
    groups_.push_back({});
    group = &groups_.back();
    group->what = wanted;
  } else if (group->what != wanted) {
    *group = {};
    group->what = wanted;
  }
  group->used = now;
  if (!group->asking && (!group->current || now >= group->round + kAskEvery)) begin(*group, now);
  return group->current;
}

std::optional<PublicKey> Anycast::member(const PublicKey& key) const {
  const Group* group = find(key);
  return group != nullptr ? group->current : std::nullopt;
}

bool Anycast::absent(const PublicKey& key) const {
  const Group* group = find(key);
  return group != nullptr && !group->current && group->absent;
}

bool Anycast::stands(const PublicKey& key, const PublicKey& one, TimePoint now) const {
  const Group* group = find(key);
  if (group == nullptr) return false;
  for (const AnycastMember& member : group->members)
    if (member.key == one)
      return member.lost_until <= now && member.expiry > ways_.wall() &&
             (member.doubted == TimePoint{} || now < member.doubted + kDoubtFor);
  return false;
}

bool Anycast::asking(const PublicKey& key) const {
  const Group* group = find(key);
  return group != nullptr && group->asking;
}

const std::vector<AnycastMember>* Anycast::members(const PublicKey& key) const {
  const Group* group = find(key);
  return group != nullptr ? &group->members : nullptr;
}

void Anycast::forget(const PublicKey& key) {
  std::erase_if(groups_, [&](const Group& group) { return group.what.key == key; });
}

// Questions

void Anycast::begin(Group& group, TimePoint now) {
  group.asking = true;
  group.absent = false;
  group.round = now;
  group.questions.clear();
  group.decide = kNever;
  ask(group, now);
}

void Anycast::ask(Group& group, TimePoint now) {
  const Id target = anycast_target(group.what, random_);
  std::array<std::uint8_t, wire::GroupAsk::kSize> payload;
  Writer writer(payload);
  Question question{random_.u64(), 0, now};
  wire::GroupAsk{question.nonce}.write(writer);
  SendById packet;
  packet.ids = {&target, 1};
  packet.kind = wire::kGroupAsk;
  packet.payload = writer.written();
  packet.copies = wire::GroupAsk::kAnswers;
  packet.nearest = true;
  question.packet = ways_.send(packet, now);
  group.questions.push_back(question);
  group.next_try = now + kRetry;
  ++counters_.asked;
}

bool Anycast::on_answer(Bytes payload, TimePoint now) {
  const auto answer = wire::GroupAnswer::parse(payload);
  if (!answer) return false;
  for (Group& group : groups_)
    for (Question& question : group.questions) {
      if (question.nonce != answer->nonce) continue;
      if (answer->delegation.member == ways_.own) return true;
      // Each costs a signature, and whoever saw the question can send more of them.
      if (++question.answers > 2 * wire::GroupAsk::kAnswers) break;
      const TimePoint sent = question.sent;
      if (!answer->delegation.valid(group.what.key, ways_.wall())) {
        ++counters_.forged;
        return true;
      }
      ++counters_.answers;
      note(group, answer->delegation, sent, now);
      return true;
    }
  ++counters_.unexpected;
  return false;
}

void Anycast::note(Group& group, const wire::Delegation& delegation, TimePoint sent,
                   TimePoint now) {
  auto known = std::find_if(group.members.begin(), group.members.end(),
                            [&](const AnycastMember& m) { return m.key == delegation.member; });
  if (known == group.members.end()) {
    if (group.members.size() >= kMaxMembers)
      group.members.erase(
          std::min_element(group.members.begin(), group.members.end(),
                           [](const auto& a, const auto& b) { return a.answered < b.answered; }));
    known = group.members.insert(group.members.end(), AnycastMember{delegation.member});
  }
  // Of several answers in a round the fastest is the member's round trip.
  if (known->answered < group.round || now - sent < known->rtt) known->rtt = now - sent;
  known->answered = now;
  if (sent > known->doubted) known->doubted = {};
  known->expiry = delegation.expiry;
  known->common = static_cast<std::uint8_t>(
      common_bits(group.what.prefer, delegation.suffix,
                  std::min(group.what.prefer_bits, delegation.suffix_bits)));
  group.absent = false;
  group.next_try = kNever;
  if (group.current && !current_fails(group, now)) {
    group.decide = std::min(group.decide, group.round + kRound);
  } else if (known->lost_until > now || known->doubted != TimePoint{}) {
    group.decide = std::min(group.decide, now + kLastResort);
  } else if (known->common >= group.what.prefer_bits) {
    decide(group, now);
  } else {
    group.decide = std::min(group.decide, now + std::clamp(known->rtt, kLeastWait, kMostWait));
  }
}

void Anycast::on_not_present(std::uint64_t nonce, TimePoint now) {
  for (Group& group : groups_)
    for (const Question& question : group.questions)
      if (group.asking && question.packet == nonce) return nobody(group, now);
}

void Anycast::nobody(Group& group, TimePoint now) {
  group.asking = false;
  group.next_try = group.decide = kNever;
  // Who is there although the overlay knows of nobody is kept while it answers.
  if (group.current) return;
  group.absent = true;
  ways_.changed(group.what.key, now);
}

// Choice

bool Anycast::current_fails(const Group& group, TimePoint now) const {
  for (const AnycastMember& member : group.members)
    if (member.key == group.current)
      return member.doubted != TimePoint{} || member.lost_until > now;
  return true;
}

// Of those that answered in this round; else of those that did lately.
const AnycastMember* Anycast::best(const Group& group, TimePoint now, bool even_lost) const {
  const AnycastMember* choice = nullptr;
  for (const AnycastMember& member : group.members) {
    const bool fails = member.doubted != TimePoint{} || member.lost_until > now;
    if ((fails && !even_lost) || member.answered + kAskEvery < now || member.expiry <= ways_.wall())
      continue;
    if (choice == nullptr || better(member, *choice)) choice = &member;
  }
  return choice;
}

// The present one stays unless it fails or another one is clearly better.
void Anycast::decide(Group& group, TimePoint now) {
  group.decide = kNever;
  const bool fails = !group.current || current_fails(group, now);
  const AnycastMember* choice = best(group, now, false);
  if (choice == nullptr && !group.current) choice = best(group, now, true);
  if (now >= group.round + kRound) group.asking = false;
  if (choice == nullptr || choice->key == group.current) return;
  if (!fails) {
    const auto current =
        std::find_if(group.members.begin(), group.members.end(),
                     [&](const AnycastMember& m) { return m.key == group.current; });
    const bool clearly = choice->common > current->common ||
                         (choice->common == current->common && current->answered >= group.round &&
                          3 * choice->rtt < 2 * current->rtt);
    if (!clearly) return;
  }
  take(group, choice->key, now);
}

void Anycast::take(Group& group, const std::optional<PublicKey>& member, TimePoint now) {
  group.current = member;
  ++counters_.changes;
  log_.info("group_member", {{"group", group.what.key.text()},
                             {"member", member ? member->text() : std::string("none")}});
  ways_.changed(group.what.key, now);
}

void Anycast::doubt(const PublicKey& key, const PublicKey& silent, TimePoint now) {
  Group* group = find(key);
  if (group == nullptr) return;
  bool news = false;
  for (AnycastMember& member : group->members)
    if (member.key == silent && member.doubted == TimePoint{}) {
      member.doubted = now;
      news = true;
    }
  if (news && group->current == silent) begin(*group, now);
}

void Anycast::lost(const PublicKey& gone, TimePoint now) {
  std::vector<PublicKey> concerned;
  for (Group& group : groups_) {
    for (AnycastMember& member : group.members)
      if (member.key == gone) member.lost_until = now + kLostFor;
    if (group.current == gone) concerned.push_back(group.what.key);
  }
  for (const PublicKey& key : concerned) {
    Group& group = *find(key);
    group.current.reset();
    if (const AnycastMember* other = best(group, now, false)) {
      take(group, other->key, now);
    } else if (now < group.used + kInUse) {
      begin(group, now);
    } else {
      group.asking = false;
    }
  }
}

// Time

TimePoint Anycast::next_deadline() const {
  TimePoint next = kNever;
  for (const Group& group : groups_)
    if (group.asking) {
      const TimePoint soon = std::min(group.next_try, group.decide);
      next = std::min(next, soon != kNever ? soon : group.round + kRound);
    }
  return next;
}

void Anycast::on_timer(TimePoint now) {
  std::vector<PublicKey> keys;  // `changed` may make groups
  for (const Group& group : groups_)
    if (group.asking) keys.push_back(group.what.key);
  for (const PublicKey& key : keys) {
    Group* group = find(key);
    if (group == nullptr) continue;
    if (now >= group->decide) decide(*group, now);
    group = find(key);
    if (group == nullptr || !group->asking) continue;
    if (now >= group->next_try && group->questions.size() >= kTries) {
      nobody(*group, now);
    } else if (now >= group->next_try) {
      ask(*group, now);
    } else if (now >= group->round + kRound && group->next_try == kNever) {
      group->asking = false;
      group->decide = kNever;
    }
  }
}

}  // namespace i3
