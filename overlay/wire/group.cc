#include "overlay/wire/group.hh"

#include <algorithm>

namespace i3::wire {

std::optional<GroupAsk> GroupAsk::parse(Bytes payload) {
  Reader reader(payload);
  GroupAsk ask;
  ask.nonce = reader.u64();
  const Bytes zeros = reader.bytes(kSize - 8);
  if (!reader.complete() ||
      std::any_of(zeros.begin(), zeros.end(), [](std::uint8_t byte) { return byte != 0; }))
    return std::nullopt;
  return ask;
}

void GroupAsk::write(Writer& writer) const {
  constexpr std::array<std::uint8_t, kSize - 8> kZeros{};
  writer.u64(nonce);
  writer.bytes(kZeros);
}

std::optional<GroupAnswer> GroupAnswer::parse(Bytes payload) {
  Reader reader(payload);
  GroupAnswer answer;
  answer.nonce = reader.u64();
  answer.delegation = Delegation::read(reader);
  if (!reader.complete()) return std::nullopt;
  return answer;
}

void GroupAnswer::write(Writer& writer) const {
  writer.u64(nonce);
  delegation.write(writer);
}

std::optional<GroupData> GroupData::parse(Bytes payload) {
  Reader reader(payload);
  GroupData data;
  data.sender = PublicKey::read(reader);
  data.start = reader.u64();
  data.salt = reader.u64();
  data.counter = reader.u64();
  data.sealed = reader.rest();
  if (!reader.ok() || data.sealed.size() <= kTag) return std::nullopt;
  return data;
}

void GroupData::write_front(Writer& writer) const {
  sender.write(writer);
  writer.u64(start);
  writer.u64(salt);
  writer.u64(counter);
}

}  // namespace i3::wire
