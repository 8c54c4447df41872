#include "proxy/host/believed.hh"

#include "proxy/host/state.hh"

namespace i3 {
namespace {

using Kind = KeyRecord::Kind;

// Not more than two that say different things: a third adds nothing.
std::vector<KeyRecord> different(std::span<const KeyRecord> records) {
  std::vector<KeyRecord> result;
  for (const KeyRecord& record : records) {
    if (record.kind == Kind::revoked) return {record};
    if (result.empty() || (result.size() == 1 && !record.says_as(result[0])))
      result.push_back(record);
  }
  return result;
}

}  // namespace

Believed::Change Believed::take(std::span<const KeyRecord> records, bool named) {
  std::vector<KeyRecord> said = different(records);
  if (said.empty()) return Change::none;
  const bool revoked = said[0].kind == Kind::revoked;
  const PublicKey key = said[0].key;
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!named && entries_.size() >= kMost) return Change::none;
    const bool contested = said.size() > 1;
    entries_.emplace(key, Entry{std::move(said), false, false});
    return revoked ? Change::revoked : contested ? Change::contested : Change::moved;
  }
  Entry& entry = found->second;
  if (entry.revoked()) return Change::none;
  if (revoked) {
    entry.records = std::move(said);
    return Change::revoked;
  }
  for (const KeyRecord& record : said)
    if (!record.says_as(entry.records[0]) && !entry.contested() &&
        !std::exchange(entry.contradicted, true))
      return Change::contradicted;
  return Change::none;
}

bool Believed::publish(const PublicKey& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  found->second.publish = true;
  return true;
}

std::optional<PublicKey> Believed::current(const PublicKey& key) const {
  if (entries_.empty()) return key;
  PublicKey at = key;
  for (std::size_t step = 0; step <= kMostSteps; ++step) {
    const Entry* entry = find(at);
    if (entry == nullptr) return at;
    if (entry->revoked() || entry->contested()) return std::nullopt;
    at = entry->records[0].successor;
  }
  return std::nullopt;
}

const Believed::Entry* Believed::find(const PublicKey& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<KeptRecord> Believed::kept() const {
  std::vector<KeptRecord> result;
  for (const auto& [key, entry] : entries_)
    for (const KeyRecord& record : entry.records) result.push_back({record, entry.publish});
  return result;
}

Directory Believed::applied(const Directory& named) const {
  std::vector<KnownHost> hosts;
  for (KnownHost host : named.hosts()) {
    const auto key = current(host.key);
    if (!key) continue;
    host.key = *key;
    const auto box_is_believed = [&](std::optional<PublicKey>& box) {
      if (!box) return true;
      box = current(*box);
      return box.has_value();
    };
    // Never without the box that it is to go through.
    if (!box_is_believed(host.middlebox) || !box_is_believed(host.stack)) continue;
    hosts.push_back(std::move(host));
  }
  std::vector<PublicKey> allowed;
  for (const PublicKey& key : named.allowed())
    if (const auto now = current(key)) allowed.push_back(*now);
  // A revoked box still has to be come through, which nobody can.
  std::optional<PublicKey> box = named.inbound_box(), stop = named.inbound_stop();
  for (std::optional<PublicKey>* one : {&box, &stop})
    if (*one) *one = current(**one).value_or(**one);
  return Directory(std::move(hosts), allowed, box, stop);
}

std::vector<Allow> Believed::applied(const std::vector<Allow>& lines) const {
  std::vector<Allow> result;
  for (Allow line : lines) {
    if (line.from) {
      const auto key = current(*line.from);
      if (!key) continue;
      line.from = key;
    }
    result.push_back(std::move(line));
  }
  return result;
}

std::string Believed::line_of(const PublicKey& key) const {
  const Entry* entry = find(key);
  return entry == nullptr ? std::string() : record_line(entry->records, entry->publish);
}

std::string Believed::lines() const {
  std::string text;
  for (const auto& [key, entry] : entries_) text += line_of(key) + '\n';
  return text;
}

}  // namespace i3
