#include "proxy/host/gateway_names.hh"

#include <charconv>

#include "proxy/host/state.hh"
#include "proxy/packet/rewrite.hh"

namespace i3 {
namespace {

constexpr std::uint8_t kServerFailure = 2;
constexpr Duration kUsedLately = std::chrono::minutes(5);
constexpr Duration kLogEvery = std::chrono::seconds(60);

std::string inner_text(const std::optional<IpAddress>& inner) {
  return inner ? inner->text() : "-";
}

}  // namespace

Id gateway_name_id(const PublicKey& gateway, const PublicKey& client, std::string_view name) {
  const auto hash =
      blake2b<16>("i3 name behind a gateway", {gateway.bytes, client.bytes, as_bytes(name)});
  Id id;
  std::copy(hash.begin(), hash.end(), id.bytes.begin());
  return id;
}

std::string keyed_name(const PublicKey& key, std::string_view name) {
  return std::string(as_text(key.bytes)).append(name);
}

GatewayNames::Name* GatewayNames::find(const PublicKey& gateway, std::string_view name) const {
  const auto found = by_name_.find(keyed_name(gateway, name));
  return found == by_name_.end() ? nullptr : found->second;
}

GatewayNames::Name* GatewayNames::find_inner(const PublicKey& gateway,
                                             const IpAddress& inner) const {
  const auto found = by_inner_.find({gateway, inner});
  return found == by_inner_.end() ? nullptr : found->second;
}

GatewayNames::Name* GatewayNames::at(const IpAddress& local) {
  if (by_slot_.empty()) return nullptr;
  const auto found = by_slot_.find(parts_.pool.slot_of(local));
  return found == by_slot_.end() ? nullptr : found->second.get();
}

const std::string* GatewayNames::name_at(const IpAddress& local) const {
  const auto found = by_slot_.find(parts_.pool.slot_of(local));
  return found == by_slot_.end() ? nullptr : &found->second->name;
}

void GatewayNames::each(const std::function<void(const Name&)>& visit) const {
  for (const auto& [slot, name] : by_slot_) visit(*name);
}

GatewayAnswer GatewayNames::answer_of(const Name& name) const {
  GatewayAnswer answer;
  if (name.inner4) answer.ipv4 = name.ipv4;
  if (name.inner6) answer.ipv6 = name.ipv6;
  answer.heard = true;
  return answer;
}

// ---- questions ----

std::variant<GatewayAnswer, std::uint64_t> GatewayNames::ask(Peer& gateway, std::string_view name,
                                                             TimePoint now) {
  if (!wire::NameQuestion::fits(name)) {
    ++counters_.failed;
    return GatewayAnswer{kServerFailure, {}, {}};
  }
  gateway.last_used = now;
  if (Name* known = find(gateway.key, name); known != nullptr && now < known->fresh_until) {
    known->used = now;
    return answer_of(*known);
  }
  if (now < gateway.absent_until && !parts_.sessions.can_seal(gateway.handle, now)) {
    ++counters_.failed;
    return GatewayAnswer{kServerFailure, {}, {}};
  }
  if (const auto asked = asked_.find(keyed_name(gateway.key, name)); asked != asked_.end())
    return asked->second;
  if (questions_.size() >= kMaxQuestions) {
    ++counters_.no_room;
    return GatewayAnswer{kServerFailure, {}, {}};
  }
  return question(gateway, name, now).number;
}

GatewayNames::Question& GatewayNames::question(Peer& gateway, std::string_view name,
                                               TimePoint now) {
  Question asked;
  asked.gateway = gateway.key;
  asked.name = std::string(name);
  asked.number = parts_.random.u64();
  asked.deadline = now + kPatience;
  asked_[keyed_name(gateway.key, name)] = asked.number;
  Question& kept = questions_[asked.number] = std::move(asked);
  ++counters_.asked;
  gateway.wanted = true;
  send(kept, now);
  return kept;
}

// Where no session stands yet, on_peer() sends it once one does.
void GatewayNames::send(Question& question, TimePoint now) {
  Peer* gateway = parts_.peers.find(question.gateway);
  question.next_try = now + question.pause;
  question.pause *= 2;
  next_ = std::min({next_, question.next_try, question.deadline});
  if (gateway == nullptr) return;
  if (!parts_.sessions.can_seal(gateway->handle, now)) return rendezvous_.contact(*gateway, now);
  std::array<std::uint8_t, 300> storage;
  Writer writer(storage);
  wire::NameQuestion{question.number, 3, question.name}.write(writer);
  question.sent = courier_.send_control(*gateway, writer.written(), now);
  // An answer is due: silence means what it does for a packet.
  if (question.sent && gateway->unanswered_since == kNever) {
    gateway->unanswered_since = now;
    parts_.peers.schedule(*gateway, now + std::chrono::seconds(1));
  }
}

void GatewayNames::on_peer(Peer& peer, TimePoint now) {
  if (questions_.empty()) return;
  std::vector<std::uint64_t> lost;
  const bool stands = parts_.sessions.can_seal(peer.handle, now);
  for (auto& [number, question] : questions_) {
    if (question.gateway != peer.key) continue;
    if (stands && !question.sent)
      send(question, now);
    else if (!stands && now < peer.absent_until)
      lost.push_back(number);
  }
  for (const std::uint64_t number : lost) {
    ++counters_.failed;
    finish(number, {kServerFailure, {}, {}});
  }
}

void GatewayNames::on_timer(TimePoint now) {
  if (now < next_) return;
  next_ = kNever;
  std::vector<std::uint64_t> over;
  for (auto& [number, question] : questions_) {
    if (now >= question.deadline) {
      over.push_back(number);
      continue;
    }
    if (now >= question.next_try) send(question, now);
    next_ = std::min({next_, question.next_try, question.deadline});
  }
  for (const std::uint64_t number : over) {
    ++counters_.timed_out;
    finish(number, {kServerFailure, {}, {}});
  }
}

void GatewayNames::finish(std::uint64_t number, const GatewayAnswer& answer) {
  const auto found = questions_.find(number);
  asked_.erase(keyed_name(found->second.gateway, found->second.name));
  questions_.erase(found);
  if (heard) heard(number, answer);
  if (answered) answered(number, answer);
}

void GatewayNames::on_found(const Peer& gateway, const wire::NameFound& found, TimePoint now) {
  const auto asked = questions_.find(found.nonce);
  if (asked == questions_.end() || asked->second.gateway != gateway.key) {
    ++counters_.stray;
    return;
  }
  ++counters_.answered;
  GatewayAnswer answer{found.rcode, {}, {}, true};
  Name* known = find(gateway.key, asked->second.name);
  if (found.rcode == 0 && (found.ipv4 || found.ipv6)) {
    known = adopt(asked->second, found);
    if (known == nullptr) {
      answer.rcode = kServerFailure;
    } else {
      known->used = now;
      known->fresh_until = now + std::chrono::seconds(found.lifetime_s);
      log(*known, now);
      answer = answer_of(*known);
    }
  } else if (known != nullptr && found.rcode != kServerFailure) {
    known->fresh_until = {};
  }
  finish(found.nonce, answer);
}

// The gateway's address if it is free here, so that what programs write into their packets is true
// at both ends.
GatewayNames::Name* GatewayNames::adopt(const Question& question, const wire::NameFound& found) {
  Name* name = find(question.gateway, question.name);
  if (name == nullptr) {
    AnnouncedAddresses wished;
    if (found.ipv4 && parts_.pool.ipv4().contains(*found.ipv4)) wished.ipv4 = found.ipv4;
    name = add(question.gateway, question.name, wished);
  }
  if (name != nullptr) bind(*name, found.ipv4, found.ipv6);
  return name;
}

void GatewayNames::on_unknown(Peer& gateway, const wire::UnknownAddress& unknown, TimePoint now) {
  Name* name = find_inner(gateway.key, unknown.address);
  if (name == nullptr) {
    ++counters_.stray;
    return;
  }
  ++counters_.unknown;
  name->fresh_until = {};
  if (questions_.size() < kMaxQuestions && !asked_.contains(keyed_name(gateway.key, name->name)))
    question(gateway, name->name, now);
}

// ---- names ----

GatewayNames::Name* GatewayNames::add(const PublicKey& gateway, std::string_view text,
                                      const AnnouncedAddresses& wished) {
  make_room();
  const AddressPool::Entry* entry = parts_.pool.assign(
      gateway_name_id(gateway, parts_.identity.key(), text), Standing::known, wished);
  if (entry == nullptr || by_slot_.contains(entry->slot)) {
    ++counters_.no_room;
    return nullptr;
  }
  auto name = std::make_unique<Name>();
  name->gateway = gateway;
  name->name = std::string(text);
  name->slot = entry->slot;
  name->ipv4 = entry->ipv4;
  name->ipv6 = entry->ipv6;
  Name* kept = name.get();
  by_name_[keyed_name(gateway, text)] = kept;
  by_slot_[kept->slot] = std::move(name);
  return kept;
}

void GatewayNames::bind(Name& name, const std::optional<IpAddress>& inner4,
                        const std::optional<IpAddress>& inner6) {
  for (const auto& old : {name.inner4, name.inner6})
    if (old && find_inner(name.gateway, *old) == &name) by_inner_.erase({name.gateway, *old});
  name.inner4 = inner4;
  name.inner6 = inner6;
  for (const auto& fresh : {inner4, inner6})
    if (fresh) by_inner_[{name.gateway, *fresh}] = &name;
}

void GatewayNames::remove(Name& name) {
  bind(name, std::nullopt, std::nullopt);
  parts_.pool.release(gateway_name_id(name.gateway, parts_.identity.key(), name.name));
  parts_.io.log_state("forgot " + name.gateway.text() + ' ' + name.name);
  by_name_.erase(keyed_name(name.gateway, name.name));
  by_slot_.erase(name.slot);
}

void GatewayNames::make_room() {
  if (by_slot_.size() < kMaxNames) return;
  Name* oldest = nullptr;
  for (const auto& [slot, name] : by_slot_)
    if (oldest == nullptr || name->used < oldest->used) oldest = name.get();
  remove(*oldest);
}

void GatewayNames::sweep(TimePoint now) {
  std::vector<Name*> idle;
  for (const auto& [slot, name] : by_slot_) {
    if (now > name->used + parts_.options.idle)
      idle.push_back(name.get());
    else if (name->used > name->logged + kLogEvery)
      log(*name, now);
  }
  for (Name* name : idle) remove(*name);
}

// ---- packets ----

bool GatewayNames::to_inner(const Name& name, IpPacket& packet) const {
  const auto& inner = packet.family() == Family::v4 ? name.inner4 : name.inner6;
  if (!inner) return false;
  return packet.destination() == *inner || rewrite_destination(packet, *inner);
}

std::optional<IpAddress> GatewayNames::local_source(const Peer& peer, IpPacket& packet,
                                                    TimePoint now) {
  if (by_slot_.empty()) return std::nullopt;
  Name* name = find_inner(peer.key, packet.source());
  if (name == nullptr && packet.is_icmp_error()) {
    if (const auto quoted = packet.quoted()) name = find_inner(peer.key, quoted->destination);
    if (name != nullptr) rewrite_source(packet, packet.quoted()->destination);
  }
  if (name == nullptr) return std::nullopt;
  name->used = now;
  return (packet.family() == Family::v4 ? name->ipv4 : name->ipv6).address();
}

// ---- the state log ----

std::string GatewayNames::line(const Name& name, TimePoint now) const {
  const Duration ago =
      std::min<Duration>(now - std::min(name.used, now), parts_.options.idle + kUsedLately);
  const WallTime used = parts_.clock.wall() - static_cast<WallTime>(ago.count());
  return "behind " + name.gateway.text() + ' ' + name.ipv4.text() + ' ' + name.ipv6.text() + ' ' +
         inner_text(name.inner4) + ' ' + inner_text(name.inner6) + ' ' + std::to_string(used) +
         ' ' + name.name;
}

void GatewayNames::log(Name& name, TimePoint now) {
  if (now < name.logged + kLogEvery && name.logged != TimePoint{}) return;
  name.logged = now;
  parts_.io.log_state(line(name, now));
}

std::string GatewayNames::state_lines(TimePoint now) const {
  std::string lines;
  for (const auto& [slot, name] : by_slot_) lines += line(*name, now) + '\n';
  return lines;
}

void GatewayNames::restore(std::string_view text, TimePoint now) {
  const auto words = words_of(text);
  if (words.size() == 3 && words[0] == "forgot") {
    const auto key = PublicKey::from_text(words[1]);
    if (Name* name = key ? find(*key, words[2]) : nullptr) remove(*name);
    return;
  }
  if (words.size() != 8 || words[0] != "behind") return;
  const auto gateway = PublicKey::from_text(words[1]);
  const auto ipv4 = IpAddress::parse(words[2]);
  const auto ipv6 = IpAddress::parse(words[3]);
  std::uint64_t used = 0;
  const auto [end, error] =
      std::from_chars(words[6].data(), words[6].data() + words[6].size(), used);
  if (!gateway || !ipv4 || !ipv6 || !ipv4->is_v4() || ipv6->is_v4() || error != std::errc{} ||
      !wire::NameQuestion::fits(words[7]))
    return;
  std::optional<IpAddress> inner4, inner6;
  if (words[4] != "-") inner4 = IpAddress::parse(words[4]);
  if (words[5] != "-") inner6 = IpAddress::parse(words[5]);
  if ((inner4 && !inner4->is_v4()) || (inner6 && inner6->is_v4())) return;
  Name* name = find(*gateway, words[7]);
  if (name == nullptr && by_slot_.size() < kMaxNames) {
    const AddressPool::Record record{gateway_name_id(*gateway, parts_.identity.key(), words[7]),
                                     VirtualIp(*ipv4), VirtualIp(*ipv6), Standing::known};
    if (parts_.pool.ipv4().contains(*ipv4)) parts_.pool.restore(std::span(&record, 1));
    name = add(*gateway, words[7], {});
  }
  if (name == nullptr) return;
  bind(*name, inner4, inner6);
  const WallTime wall = parts_.clock.wall();
  const Duration ago(wall > used ? static_cast<std::int64_t>(wall - used) : 0);
  name->used = name->logged = now - std::min<Duration>(ago, parts_.options.idle);
}

}  // namespace i3
