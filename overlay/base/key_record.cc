#include "overlay/base/key_record.hh"

namespace i3 {
namespace {

constexpr std::string_view kDomain = "i3 record v1";
constexpr std::size_t kSigned = KeyRecord::kSize - 64;
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kTextBytes = 1 + KeyRecord::kSize + 4;
constexpr std::size_t kMaximumText = 2048;

std::array<std::uint8_t, 4> checksum(Bytes body) {
  return blake2b<4>("i3 record", {body});
}

std::array<std::uint8_t, kDomain.size() + kSigned> signed_bytes(const KeyRecord& record) {
  std::array<std::uint8_t, kDomain.size() + kSigned> bytes;
  Writer writer(bytes);
  writer.bytes(as_bytes(kDomain));
  writer.u8(static_cast<std::uint8_t>(record.kind));
  record.key.write(writer);
  record.successor.write(writer);
  writer.u64(record.made);
  return bytes;
}

KeyRecord made_by(const Identity& old, KeyRecord record) {
  record.key = old.key();
  record.signature = old.sign(signed_bytes(record));
  return record;
}

}  // namespace

KeyRecord KeyRecord::move(const Identity& old, const PublicKey& successor, WallTime made) {
  return made_by(old, {Kind::moved, {}, successor, made, {}});
}

KeyRecord KeyRecord::revoke(const Identity& old, WallTime made) {
  return made_by(old, {Kind::revoked, {}, {}, made, {}});
}

KeyRecord KeyRecord::read(Reader& reader) {
  KeyRecord record;
  record.kind = static_cast<Kind>(reader.u8());
  record.key = PublicKey::read(reader);
  record.successor = PublicKey::read(reader);
  record.made = reader.u64();
  record.signature = reader.array<64>();
  const bool moved = record.kind == Kind::moved;
  if ((!moved && record.kind != Kind::revoked) || moved == (record.successor == PublicKey{}) ||
      record.successor == record.key)
    reader.fail();
  return record;
}

void KeyRecord::write(Writer& writer) const {
  writer.bytes(Bytes(signed_bytes(*this)).subspan(kDomain.size()));
  writer.bytes(signature);
}

bool KeyRecord::valid() const {
  return key.valid_point() && (kind == Kind::revoked || successor.valid_point()) &&
         key.verify(signed_bytes(*this), signature);
}

std::string KeyRecord::encode() const {
  std::array<std::uint8_t, kTextBytes> bytes;
  Writer writer(bytes);
  writer.u8(kVersion);
  write(writer);
  const auto sum = checksum(writer.written());
  writer.bytes(sum);
  return std::string(kPrefix) + base32(bytes);
}

std::optional<KeyRecord> KeyRecord::decode(std::string_view text, std::string& why) {
  std::string line;
  if (text.size() > kMaximumText) text = {};
  // What mail, terminals and people do to a line.
  for (char c : text)
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '>')
      line += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (!line.starts_with(kPrefix)) {
    why = "this is no record of a key: it does not start with " + std::string(kPrefix);
    return std::nullopt;
  }
  const auto bytes = from_base32(std::string_view(line).substr(kPrefix.size()));
  if (!bytes || bytes->size() != kTextBytes ||
      !equal_constant_time(checksum(Bytes(*bytes).first(kTextBytes - 4)), Bytes(*bytes).last(4))) {
    why = "the record is damaged: a part is missing or a character is wrong; copy it again";
    return std::nullopt;
  }
  Reader reader(Bytes(*bytes).first(kTextBytes - 4));
  if (reader.u8() != kVersion) {
    why = "the record is of another version; bring the older of both programs up to date";
    return std::nullopt;
  }
  const KeyRecord record = read(reader);
  if (!reader.complete() || !record.valid()) {
    why = "the record is not signed by the key that it speaks of";
    return std::nullopt;
  }
  return record;
}

}  // namespace i3
