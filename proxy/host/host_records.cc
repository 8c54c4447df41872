// What keys said of themselves, and what this host makes of it: whom names and rules mean.
#include <unordered_set>

#include "proxy/host/host.hh"

namespace i3 {
namespace {

std::string_view text_of(Believed::Change change) {
  switch (change) {
    case Believed::Change::moved:
      return "key_moved";
    case Believed::Change::revoked:
      return "key_revoked";
    case Believed::Change::contested:
      return "key_contested";
    case Believed::Change::contradicted:
      return "key_contradicts_itself";
    case Believed::Change::none:
      break;
  }
  return "";
}

}  // namespace

void Host::set_people(Directory directory, const std::vector<Allow>& allow) {
  named_ = std::move(directory);
  named_allow_ = allow;
  apply_records();
}

void Host::restore_records(const RestoredState& state) {
  for (const RestoredRecord& one : state.records) {
    believed_.take(one.records, true);
    if (one.publish && !one.records.empty()) believed_.publish(one.records[0].key);
  }
}

void Host::apply_records() {
  directory_ = believed_.applied(named_);
  rules_.replace(believed_.applied(named_allow_));
  adopt_directory();
  std::vector<Peer*> refused;
  std::vector<std::pair<PublicKey, PublicKey>> conversations;
  peers_.each([&](Peer& peer) {
    const auto current = believed_.current(peer.key);
    if (!current && peer.leg) return conversations.emplace_back(peer.key, peer.leg->other), void();
    if (!current) return refused.push_back(&peer);
    // Its rights and its name are another key's by now.
    if (*current != peer.key && !directory_.knows(peer.key)) peer.wanted = false;
    if (peer.partner != peer.key && !believed_.current(peer.partner)) return drop(peer);
    if (rules_.has_line(peer.key))
      peer.barred_until = {};
    else if (!peer.wanted && peer.mine && !peer.leg)
      drop(peer);
  });
  for (const auto& [end, other] : conversations)
    if (peers_.leg(end, other) != nullptr) end_conversation(end, other, parts_.clock.now());
  for (Peer* peer : refused) {
    drop(*peer);
    remove(*peer);
  }
  watch_records();
}

// The keys that the settings name, those they moved to, and our own: what it says, whoever holds it
// besides us.
void Host::watch_records() {
  if (!ring_client_) return;
  std::unordered_set<PublicKey> keys{key()};
  const auto add = [&](PublicKey one) {
    for (std::size_t step = 0; step <= Believed::kMostSteps && keys.insert(one).second; ++step) {
      const Believed::Entry* entry = believed_.find(one);
      if (entry == nullptr || entry->revoked() || entry->contested()) return;
      one = entry->records[0].successor;
    }
  };
  for (const KnownHost& host : named_.hosts()) add(host.key);
  for (const PublicKey& allowed : named_.allowed()) add(allowed);
  const TimePoint now = parts_.clock.now();
  ring_client_->watch_records({keys.begin(), keys.end()}, now);
  ring_client_->keep_records(believed_.kept(), now);
}

bool Host::refused(const PublicKey& who) {
  if (believed_.current(who)) return false;
  verdicts_.count(Verdict::revoked);
  return true;
}

void Host::ask_records(const PublicKey& about) {
  if (ring_client_) ring_client_->ask_records(about, parts_.clock.now());
}

bool Host::names_key(const PublicKey& one) const {
  if (one == key() || named_.knows(one)) return true;
  for (const KnownHost& host : named_.hosts())
    if (believed_.current(host.key) == one) return true;
  return false;
}

void Host::on_records(const PublicKey& about, const std::vector<KeyRecord>& records, TimePoint) {
  take_records(about, records);
}

Believed::Change Host::take_records(const PublicKey& about, const std::vector<KeyRecord>& records) {
  const auto change = believed_.take(records, names_key(about));
  if (change == Believed::Change::none) return change;
  const Believed::Entry& entry = *believed_.find(about);
  parts_.log.warning(text_of(change),
                     {{"key", about.text()},
                      {"name", named_.name_of(about)},
                      {"to", entry.revoked() ? "nobody" : entry.records[0].successor.text()}});
  if (change == Believed::Change::contradicted) return change;
  parts_.io.log_state(believed_.line_of(about));
  apply_records();
  parts_.io.people_changed();
  return change;
}

Believed::Change Host::publish(const KeyRecord& record) {
  const auto change = take_records(record.key, {record});
  const Believed::Entry* entry = believed_.find(record.key);
  const bool same = entry != nullptr && entry->records[0].says_as(record);
  if (same && !entry->publish) {
    believed_.publish(record.key);
    parts_.io.log_state(believed_.line_of(record.key));
    watch_records();
  }
  return change;
}

}  // namespace i3
