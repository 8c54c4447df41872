#include "proxy/host/anycast_behind.hh"

#include <charconv>

namespace i3 {
namespace {

constexpr std::uint8_t kServerFailure = 2;
// Numbers of questions here: apart from the random ones of GatewayNames in all but one of 2^32.
constexpr std::uint64_t kNumbers = 0x67726f7570000000;

}  // namespace

AnycastBehind::AnycastBehind(Host& host, Clock& clock, Ways ways)
    : host_(host), clock_(clock), ways_(std::move(ways)) {}

AnycastBehind::Name* AnycastBehind::find(const PublicKey& group, std::string_view name) const {
  const auto found = by_name_.find(keyed_name(group, name));
  return found == by_name_.end() ? nullptr : found->second;
}

AnycastBehind::Name* AnycastBehind::at(const IpAddress& address) const {
  if (by_slot_.empty()) return nullptr;
  const auto found = by_slot_.find(host_.pool().slot_of(address));
  return found == by_slot_.end() ? nullptr : found->second.get();
}

void AnycastBehind::each(const std::function<void(const Name&)>& visit) const {
  for (const auto& [slot, name] : by_slot_) visit(*name);
}

// Questions

std::variant<GatewayAnswer, std::uint64_t> AnycastBehind::ask(const PublicKey& group,
                                                              std::string_view name,
                                                              TimePoint now) {
  const std::string key = keyed_name(group, name);
  if (const auto asked = asked_.find(key); asked != asked_.end()) return asked->second;
  if (!wire::NameQuestion::fits(name) || questions_.size() >= kMaxQuestions) {
    ++counters_.no_room;
    return GatewayAnswer{kServerFailure, {}, {}};
  }
  const std::uint64_t number = kNumbers + ++last_number_;
  ++counters_.asked;
  Question question{group, std::string(name), {}, 0, now + kPatience, now + kLookEvery};
  if (const auto answer = ask_member(number, question, now)) return adopt(question, *answer, now);
  next_ = std::min(next_, question.next_look);
  asked_[key] = number;
  questions_[number] = std::move(question);
  return number;
}

std::optional<GatewayAnswer> AnycastBehind::ask_member(std::uint64_t number, Question& question,
                                                       TimePoint now) {
  numbers_.erase(question.number_there);
  question.number_there = 0;
  question.member = ways_.member(question.group, now);
  Peer* peer = question.member ? host_.meet(*question.member) : nullptr;
  if (peer == nullptr) return std::nullopt;
  const auto told = host_.gateway_names().ask(*peer, question.name, now);
  if (const auto* answer = std::get_if<GatewayAnswer>(&told))
    return answer->heard ? std::optional(*answer) : std::nullopt;
  question.number_there = std::get<std::uint64_t>(told);
  numbers_[question.number_there] = number;
  ways_.owes(question.group, *peer, now);
  return std::nullopt;
}

// A member that could not be reached is no answer: the group is about to have another one.
void AnycastBehind::on_answer(std::uint64_t number_there, const GatewayAnswer& answer) {
  const auto found = numbers_.find(number_there);
  if (found == numbers_.end()) return;
  const std::uint64_t number = found->second;
  numbers_.erase(found);
  questions_.at(number).number_there = 0;
  if (answer.heard) finish(number, answer, clock_.now());
}

void AnycastBehind::changed(const PublicKey& group, TimePoint now) {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, question] : questions_)
    if (question.group == group) numbers.push_back(number);
  for (const std::uint64_t number : numbers) {
    const auto found = questions_.find(number);
    if (found == questions_.end()) continue;
    const auto member = ways_.member(group, now);
    if (!member && ways_.absent(group)) {
      finish(number, {kServerFailure, {}, {}}, now);
    } else if (member && member != found->second.member) {
      if (found->second.member) ++counters_.asked_again;
      if (const auto answer = ask_member(number, found->second, now)) finish(number, *answer, now);
    }
  }
}

GatewayAnswer AnycastBehind::adopt(const Question& question, const GatewayAnswer& answer,
                                   TimePoint now) {
  GatewayAnswer here{answer.rcode, {}, {}, answer.heard};
  if (!answer.ipv4 && !answer.ipv6) return here;
  Name* name = find(question.group, question.name);
  if (name == nullptr) name = add(question.group, question.name);
  if (name == nullptr) {
    ++counters_.no_room;
    return {kServerFailure, {}, {}};
  }
  touch(*name, now);
  if (answer.ipv4) here.ipv4 = name->ipv4;
  if (answer.ipv6) here.ipv6 = name->ipv6;
  return here;
}

void AnycastBehind::finish(std::uint64_t number, const GatewayAnswer& answer, TimePoint now) {
  const auto found = questions_.find(number);
  if (found == questions_.end()) return;  // what an answer set going has ended it
  const Question question = std::move(found->second);
  questions_.erase(found);
  numbers_.erase(question.number_there);
  asked_.erase(keyed_name(question.group, question.name));
  const GatewayAnswer here = adopt(question, answer, now);
  if (!here.ipv4 && !here.ipv6 && !here.heard) ++counters_.failed;
  if (Name* name = find(question.group, question.name)) {
    const bool there = here.ipv4 || here.ipv6;
    for (const auto& packet : std::exchange(name->parked, {}))
      there ? ways_.again(packet, now) : ways_.refuse(packet, now);
  }
  if (answered) answered(number, here);
}

void AnycastBehind::on_timer(TimePoint now) {
  if (now < next_) return;
  next_ = kNever;
  std::vector<std::uint64_t> over, look;
  for (auto& [number, question] : questions_) {
    if (now >= question.deadline) {
      over.push_back(number);
      continue;
    }
    if (now >= question.next_look) {
      question.next_look = now + kLookEvery;
      look.push_back(number);
    }
    next_ = std::min({next_, question.next_look, question.deadline});
  }
  for (const std::uint64_t number : over) finish(number, {kServerFailure, {}, {}}, now);
  for (const std::uint64_t number : look) look_after(number, now);
}

// Whoever was asked may be gone, or may be back.
void AnycastBehind::look_after(std::uint64_t number, TimePoint now) {
  const auto found = questions_.find(number);
  if (found == questions_.end()) return;
  Question& question = found->second;
  if (question.number_there == 0) {
    if (const auto answer = ask_member(number, question, now)) finish(number, *answer, now);
    return;
  }
  if (Peer* peer = host_.peers().find(*question.member)) ways_.owes(question.group, *peer, now);
}

// Packets

bool AnycastBehind::known_at(const Name& name, const PublicKey& member) const {
  return host_.gateway_names().find(member, name.name) != nullptr;
}

std::optional<IpAddress> AnycastBehind::address_at(const Name& name, const PublicKey& member,
                                                   Family family) const {
  const GatewayNames::Name* there = host_.gateway_names().find(member, name.name);
  if (there == nullptr) return std::nullopt;
  const bool v4 = family == Family::v4;
  if (!(v4 ? there->inner4 : there->inner6)) return std::nullopt;
  return (v4 ? there->ipv4 : there->ipv6).address();
}

void AnycastBehind::park(Name& name, Bytes packet, TimePoint now) {
  if (name.parked.size() >= kMaxParked) {
    ++counters_.park_full;
    return;
  }
  name.parked.emplace_back(packet.begin(), packet.end());
  const auto told = ask(name.group, name.name, now);
  const auto* answer = std::get_if<GatewayAnswer>(&told);
  if (answer == nullptr) return;
  // Known at once: it is in GatewayNames by now, or it is nowhere.
  const bool there = answer->ipv4 || answer->ipv6;
  for (const auto& waiting : std::exchange(name.parked, {}))
    there ? ways_.again(waiting, now) : ways_.refuse(waiting, now);
}

// Names

AnycastBehind::Name* AnycastBehind::add(const PublicKey& group, std::string_view text) {
  if (by_slot_.size() >= kMaxNames) {
    Name* oldest = nullptr;
    for (const auto& [slot, name] : by_slot_)
      if (oldest == nullptr || name->used < oldest->used) oldest = name.get();
    remove(*oldest);
  }
  const AddressPool::Entry* entry =
      host_.addresses().assign(gateway_name_id(group, host_.key(), text), Standing::known);
  if (entry == nullptr || by_slot_.contains(entry->slot)) return nullptr;
  auto name = std::make_unique<Name>();
  name->group = group;
  name->name = std::string(text);
  name->slot = entry->slot;
  name->ipv4 = entry->ipv4;
  name->ipv6 = entry->ipv6;
  Name* kept = name.get();
  by_name_[keyed_name(group, text)] = kept;
  by_slot_[kept->slot] = std::move(name);
  return kept;
}

void AnycastBehind::remove(Name& name) {
  counters_.park_lost += name.parked.size();
  host_.addresses().release(gateway_name_id(name.group, host_.key(), name.name));
  by_name_.erase(keyed_name(name.group, name.name));
  by_slot_.erase(AddressPool::Slot{name.slot});
}

void AnycastBehind::touch(Name& name, TimePoint now) {
  name.used = now;
  if (name.logged != TimePoint{} && now < name.logged + kLogEvery) return;
  name.logged = now;
  host_.log_state(line(name, now));
}

void AnycastBehind::forget(const PublicKey& group) {
  std::vector<std::uint64_t> over;
  for (const auto& [number, question] : questions_)
    if (question.group == group) over.push_back(number);
  for (const std::uint64_t number : over) finish(number, {kServerFailure, {}, {}}, clock_.now());
  std::vector<Name*> gone;
  for (const auto& [slot, name] : by_slot_)
    if (name->group == group) gone.push_back(name.get());
  for (Name* name : gone) remove(*name);
}

void AnycastBehind::sweep(TimePoint now, Duration idle) {
  std::vector<Name*> gone;
  for (const auto& [slot, name] : by_slot_)
    if (now > name->used + idle) gone.push_back(name.get());
  for (Name* name : gone) remove(*name);
}

// The state log

std::string AnycastBehind::line(const Name& name, TimePoint now) const {
  const Duration ago = now - std::min(name.used, now);
  const WallTime wall = clock_.wall();
  return "through " + name.group.text() + ' ' + name.ipv4.text() + ' ' + name.ipv6.text() + ' ' +
         std::to_string(wall - std::min(wall, static_cast<WallTime>(ago.count()))) + ' ' +
         name.name;
}

std::string AnycastBehind::state_lines() const {
  std::string lines;
  for (const auto& [slot, name] : by_slot_) lines += line(*name, clock_.now()) + '\n';
  return lines;
}

void AnycastBehind::restore(std::string_view state,
                            const std::function<bool(const PublicKey&)>& is_group) {
  while (!state.empty()) {
    const std::size_t end = state.find('\n');
    if (end == state.npos) return;  // cut off while it was written
    if (state.starts_with("through ")) restore_line(state.substr(0, end), is_group);
    state.remove_prefix(end + 1);
  }
}

void AnycastBehind::restore_line(std::string_view text,
                                 const std::function<bool(const PublicKey&)>& is_group) {
  const auto words = words_of(text);
  if (words.size() != 6) return;
  const auto group = PublicKey::from_text(words[1]);
  const auto ipv4 = IpAddress::parse(words[2]);
  const auto ipv6 = IpAddress::parse(words[3]);
  std::uint64_t used = 0;
  const auto [end, error] =
      std::from_chars(words[4].data(), words[4].data() + words[4].size(), used);
  if (!group || !is_group(*group) || !ipv4 || !ipv6 || !ipv4->is_v4() || ipv6->is_v4() ||
      error != std::errc{} || !wire::NameQuestion::fits(words[5]) || by_slot_.size() >= kMaxNames)
    return;
  Name* name = find(*group, words[5]);
  if (name == nullptr) {
    const AddressPool::Record record{gateway_name_id(*group, host_.key(), words[5]),
                                     VirtualIp(*ipv4), VirtualIp(*ipv6), Standing::known};
    if (host_.pool().ipv4().contains(*ipv4)) host_.addresses().restore(std::span(&record, 1));
    name = add(*group, words[5]);
  }
  if (name == nullptr) return;
  const WallTime wall = clock_.wall();
  const Duration ago(wall > used ? static_cast<std::int64_t>(wall - used) : 0);
  name->used = name->logged = clock_.now() - std::min<Duration>(ago, std::chrono::hours(24));
}

}  // namespace i3
