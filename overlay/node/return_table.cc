#include "overlay/node/return_table.hh"

namespace i3 {

wire::SourceTag ReturnTable::tag(const PacketSource& source) const {
  if (source.direct()) {
    std::array<std::uint8_t, wire::kEndpointSize> bytes;
    Writer writer(bytes);
    wire::write_endpoint(writer, source.host);
    return blake2b<8>("i3 source tag", {bytes}, secret_);
  }
  return blake2b<8>("i3 relayed source tag", {source.entry.key.bytes, source.origin}, secret_);
}

wire::SourceTag ReturnTable::note(const PacketSource& source, std::size_t size, TimePoint now) {
  const wire::SourceTag result = tag(source);
  const std::uint64_t key = key_of(result);
  expire(now);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    while (entries_.size() >= most_ && !ages_.empty()) {
      entries_.erase(ages_.front().key);
      ages_.pop_front();
    }
    found = entries_.emplace(key, Entry{source, 0, now}).first;
    ages_.push_back({key, now + kLifetime});
  }
  found->second.until = now + kLifetime;
  found->second.credit = std::min(found->second.credit + size, kMaxCredit);
  return result;
}

const PacketSource* ReturnTable::find(const wire::SourceTag& tag, TimePoint now) {
  auto found = entries_.find(key_of(tag));
  if (found == entries_.end() || found->second.until <= now) return nullptr;
  return &found->second.source;
}

bool ReturnTable::spend(const wire::SourceTag& tag, std::size_t size, TimePoint now) {
  auto found = entries_.find(key_of(tag));
  if (found == entries_.end() || found->second.until <= now || found->second.credit < size)
    return false;
  found->second.credit -= size;
  return true;
}

void ReturnTable::expire(TimePoint now) {
  while (!ages_.empty() && ages_.front().until <= now) {
    const std::uint64_t key = ages_.front().key;
    ages_.pop_front();
    auto found = entries_.find(key);
    if (found->second.until > now)
      ages_.push_back({key, found->second.until});
    else
      entries_.erase(found);
  }
}

}  // namespace i3
