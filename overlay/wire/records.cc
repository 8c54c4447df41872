#include "overlay/wire/records.hh"

namespace i3::wire {
namespace {

void open(Reader& reader, Type type) {
  const Header header = Header::read(reader);
  if (header.type != type || header.kind != 0 || header.flags != 0) reader.fail();
}

static_assert(RecordAsk::kSize >= kHeaderSize + 8 + 32 + 1 + Records::kMost * KeyRecord::kSize,
              "no answer is longer than its question");

}  // namespace

std::optional<RecordPut> RecordPut::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::record_put);
  RecordPut put;
  put.nonce = reader.u64();
  put.cookie = reader.array<16>();
  put.record = KeyRecord::read(reader);
  if (!reader.complete()) return std::nullopt;
  return put;
}

void RecordPut::write(Writer& writer) const {
  Header{Type::record_put, 0, 0}.write(writer);
  writer.u64(nonce);
  writer.bytes(cookie);
  record.write(writer);
}

std::optional<RecordKept> RecordKept::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::record_kept);
  RecordKept kept;
  kept.nonce = reader.u64();
  kept.lifetime_s = reader.u32();
  if (!reader.complete()) return std::nullopt;
  return kept;
}

void RecordKept::write(Writer& writer) const {
  Header{Type::record_kept, 0, 0}.write(writer);
  writer.u64(nonce);
  writer.u32(lifetime_s);
}

std::optional<RecordAsk> RecordAsk::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::record_ask);
  RecordAsk ask;
  ask.nonce = reader.u64();
  ask.key = PublicKey::read(reader);
  for (const std::uint8_t byte : reader.rest())
    if (byte != 0) reader.fail();
  if (message.size() != kSize || !reader.complete()) return std::nullopt;
  return ask;
}

void RecordAsk::write(Writer& writer) const {
  Header{Type::record_ask, 0, 0}.write(writer);
  writer.u64(nonce);
  key.write(writer);
  writer.zeros(kSize - kHeaderSize - 8 - 32);
}

std::optional<Records> Records::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::records);
  Records answer;
  answer.nonce = reader.u64();
  answer.key = PublicKey::read(reader);
  const std::size_t count = reader.u8();
  if (count > kMost) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    answer.records.push_back(KeyRecord::read(reader));
    if (answer.records.back().key != answer.key) reader.fail();
  }
  if (!reader.complete()) return std::nullopt;
  return answer;
}

void Records::write(Writer& writer) const {
  Header{Type::records, 0, 0}.write(writer);
  writer.u64(nonce);
  key.write(writer);
  writer.u8(static_cast<std::uint8_t>(records.size()));
  for (const KeyRecord& record : records) record.write(writer);
}

}  // namespace i3::wire
