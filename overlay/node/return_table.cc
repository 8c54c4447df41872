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
  note(result, {source, std::nullopt}, size, now);
  return result;
}

wire::SourceTag ReturnTable::note(const PacketSource& source, const ChainStep& step,
                                  std::size_t size, TimePoint now) {
  std::array<std::uint8_t, 8> row;
  Writer writer(row);
  writer.u32(step.slot);
  writer.u32(step.generation);
  const wire::SourceTag result =
      blake2b<8>("i3 chain tag", {tag(source), row, step.reached.bytes}, secret_);
  note(result, {source, step}, size, now);
  return result;
}

void ReturnTable::note(const wire::SourceTag& tag, const Way& way, std::size_t size,
                       TimePoint now) {
  const std::uint64_t key = key_of(tag);
  expire(now);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    while (entries_.size() >= most_ && !ages_.empty()) {
      entries_.erase(ages_.front().key);
      ages_.pop_front();
    }
    found = entries_.emplace(key, Entry{way, 0, now}).first;
    ages_.push_back({key, now + kLifetime});
  }
  found->second.until = now + kLifetime;
  found->second.credit = std::min(found->second.credit + size, kMaxCredit);
}

const ReturnTable::Way* ReturnTable::find(const wire::SourceTag& tag, TimePoint now) {
  auto found = entries_.find(key_of(tag));
  if (found == entries_.end() || found->second.until <= now) return nullptr;
  return &found->second.way;
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
