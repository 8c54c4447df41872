#include "gateways/from_ip/waypoints6.hh"

#include <utility>

namespace i3 {
namespace {
constexpr std::string_view kDomain = "i3 waypoint address";
}

IpAddress waypoint_of(const PublicKey& key, const IpPrefix& prefix) {
  const auto hash = blake2b<16>(kDomain, {key.bytes});
  IpAddress address = prefix.address;
  for (unsigned bit = prefix.length; bit < 128; ++bit)
    address.bytes[bit / 8] =
        static_cast<std::uint8_t>(address.bytes[bit / 8] | (hash[bit / 8] & (0x80u >> bit % 8)));
  return address;
}

void Waypoints6::set_book(const std::vector<PublicKey>& keys) {
  std::unordered_map<IpAddress, PublicKey> book;
  for (const PublicKey& key : keys) book.emplace(waypoint_of(key, prefix_), key);
  std::vector<IpAddress> gone;
  for (const auto& [address, entry] : entries_) {
    const auto now = book.find(address);
    if (now == book.end() ? !entry.stranger.has_value() : now->second != entry.key)
      gone.push_back(address);
  }
  for (const IpAddress& address : gone) erase(address);
  for (const auto& [address, key] : book) {
    const auto [entry, fresh] = entries_.try_emplace(address, Entry{key, {}});
    if (fresh) changes_.push_back({address, key});
    if (entry->second.stranger) strangers_.erase(*entry->second.stranger);
    entry->second.stranger.reset();
  }
}

std::optional<IpAddress> Waypoints6::add(const PublicKey& key) {
  const IpAddress address = waypoint_of(key, prefix_);
  if (const auto found = entries_.find(address); found != entries_.end()) {
    if (found->second.key != key) return std::nullopt;
    if (found->second.stranger)
      strangers_.splice(strangers_.end(), strangers_, *found->second.stranger);
    return address;
  }
  if (strangers_.size() >= kMaxStrangers) erase(IpAddress(strangers_.front()));
  strangers_.push_back(address);
  entries_.emplace(address, Entry{key, std::prev(strangers_.end())});
  changes_.push_back({address, key});
  return address;
}

const PublicKey* Waypoints6::find(const IpAddress& address) const {
  const auto found = entries_.find(address);
  return found == entries_.end() ? nullptr : &found->second.key;
}

void Waypoints6::erase(const IpAddress& address) {
  const auto found = entries_.find(address);
  if (found->second.stranger) strangers_.erase(*found->second.stranger);
  entries_.erase(found);
  changes_.push_back({address, std::nullopt});
}

std::vector<Waypoints6::Change> Waypoints6::take_changes() {
  return std::exchange(changes_, {});
}

}  // namespace i3
