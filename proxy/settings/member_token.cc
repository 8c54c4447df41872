#include "proxy/settings/member_token.hh"

#include "overlay/base/xml/values.hh"
#include "proxy/settings/pasted.hh"

namespace i3 {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSize = 1 + 32 + wire::Delegation::kSize + 4;

std::array<std::uint8_t, 4> checksum(Bytes body) {
  return blake2b<4>("i3 member token", {body});
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string MemberToken::encode() const {
  std::array<std::uint8_t, kSize> buffer;
  Writer writer(buffer);
  writer.u8(kVersion);
  group.write(writer);
  delegation.write(writer);
  const auto sum = checksum(writer.written());
  writer.bytes(sum);
  return std::string(kPrefix) + base32(writer.written());
}

std::optional<MemberToken> MemberToken::decode(std::string_view text, std::string& why) {
  const std::string line = text.size() > 4096 ? std::string() : tidied(text);
  if (!line.starts_with(kPrefix)) {
    why = "is no member token: it does not start with " + std::string(kPrefix) +
          "; i3-ctl group delegate prints one";
    return std::nullopt;
  }
  const auto bytes = from_base32(std::string_view(line).substr(kPrefix.size()));
  if (!bytes || bytes->size() != kSize ||
      !equal_constant_time(checksum(Bytes(*bytes).first(kSize - 4)), Bytes(*bytes).last(4))) {
    why = "is damaged: a part is missing or a character is wrong; copy it again";
    return std::nullopt;
  }
  Reader reader(Bytes(*bytes).first(kSize - 4));
  if (const unsigned version = reader.u8(); version != kVersion) {
    why = "has version " + std::to_string(version) + ", this program knows version 1";
    return std::nullopt;
  }
  MemberToken token;
  token.group = PublicKey::read(reader);
  token.delegation = wire::Delegation::read(reader);
  // At a time when nothing has run out, only the signature is left to be wrong.
  if (!reader.complete() || !token.group.valid_point() || !token.delegation.member.valid_point() ||
      !token.delegation.valid(token.group, 0)) {
    why = "is not signed by the group that it names; ask for another one";
    return std::nullopt;
  }
  return token;
}

std::optional<SuffixText> parse_suffix(std::string_view text, std::string& why) {
  SuffixText result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0 || i >= 2 * result.suffix.size()) {
      why = "is no suffix; write up to 32 hexadecimal digits, such as a3";
      return std::nullopt;
    }
    result.suffix[i / 2] =
        static_cast<std::uint8_t>(result.suffix[i / 2] | digit << (i % 2 == 0 ? 4 : 0));
  }
  result.bits = static_cast<std::uint8_t>(4 * text.size());
  return result;
}

std::string suffix_text(const wire::Suffix& suffix, std::uint8_t bits) {
  return hex(suffix).substr(0, (bits + 3u) / 4);
}

}  // namespace i3
