#include "overlay/base/key_record.hh"

#include <doctest/doctest.h>

using namespace i3;

namespace {

struct Keys {
  SeededRandom random{11};
  std::unique_ptr<Identity> old = Identity::generate(random), next = Identity::generate(random);
};

std::optional<KeyRecord> read_back(const KeyRecord& record) {
  std::array<std::uint8_t, KeyRecord::kSize> bytes;
  Writer writer(bytes);
  record.write(writer);
  Reader reader(writer.written());
  const KeyRecord read = KeyRecord::read(reader);
  if (!reader.complete()) return std::nullopt;
  return read;
}

}  // namespace

TEST_CASE("a record is the word of the key that it speaks of, and of no other") {
  Keys keys;
  const KeyRecord moved = KeyRecord::move(*keys.old, keys.next->key(), 12);
  CHECK(moved.valid());
  CHECK(KeyRecord::revoke(*keys.old, 12).valid());
  for (auto change :
       {+[](KeyRecord& r) { r.made ^= 1; }, +[](KeyRecord& r) { r.successor.bytes[0] ^= 1; },
        +[](KeyRecord& r) { r.key.bytes[0] ^= 1; }, +[](KeyRecord& r) { r.signature[0] ^= 1; },
        +[](KeyRecord& r) { r.kind = KeyRecord::Kind::revoked; }}) {
    KeyRecord changed = moved;
    change(changed);
    CHECK_FALSE(changed.valid());
  }
  // Signed rightly, for a successor that is no point of the curve.
  PublicKey nonsense;
  nonsense.bytes.fill(0xff);
  CHECK_FALSE(KeyRecord::move(*keys.old, nonsense, 12).valid());
}

TEST_CASE("a record's bytes say one thing: no unknown kind, no heir of a revoked key, no circle") {
  Keys keys;
  const KeyRecord moved = KeyRecord::move(*keys.old, keys.next->key(), 12);
  REQUIRE(read_back(moved));
  CHECK(read_back(moved)->says_as(moved));
  CHECK(read_back(KeyRecord::revoke(*keys.old, 12)));
  KeyRecord wrong = moved;
  wrong.kind = static_cast<KeyRecord::Kind>(3);
  CHECK_FALSE(read_back(wrong));
  wrong = moved;
  wrong.kind = KeyRecord::Kind::revoked;
  CHECK_FALSE(read_back(wrong));
  wrong = moved;
  wrong.successor = {};
  CHECK_FALSE(read_back(wrong));
  CHECK_FALSE(read_back(KeyRecord::move(*keys.old, keys.old->key(), 12)));
}

TEST_CASE("a record survives paper: line breaks, blanks and capitals, but no wrong character") {
  Keys keys;
  const KeyRecord moved = KeyRecord::move(*keys.old, keys.next->key(), 12);
  const std::string text = moved.encode();
  std::string why;
  REQUIRE(KeyRecord::decode(text, why));
  CHECK(KeyRecord::decode(text, why)->says_as(moved));
  std::string typed;
  for (std::size_t i = 0; i < text.size(); ++i) {
    typed += static_cast<char>(i > 9 ? std::toupper(text[i]) : text[i]);
    if (i % 20 == 19) typed += "\r\n> ";
  }
  CHECK(KeyRecord::decode(typed, why));
  for (std::size_t i = KeyRecord::kPrefix.size(); i < text.size(); ++i) {
    std::string wrong = text;
    wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
    CHECK_FALSE(KeyRecord::decode(wrong, why));
  }
  CHECK_FALSE(KeyRecord::decode(text.substr(0, text.size() - 3), why));
  CHECK(why.find("damaged") != std::string::npos);
  CHECK_FALSE(KeyRecord::decode("i3-invite:abc", why));
  CHECK_FALSE(KeyRecord::decode(std::string(100'000, 'a'), why));
  // A record of another's key fits its checksum and is refused all the same.
  KeyRecord forged = moved;
  forged.key = keys.next->key();
  forged.successor = keys.old->key();
  CHECK_FALSE(KeyRecord::decode(forged.encode(), why));
  CHECK(why == "the record is not signed by the key that it speaks of");
}
