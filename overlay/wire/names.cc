#include "overlay/wire/names.hh"

#include <algorithm>

namespace i3::wire {
namespace {

constexpr std::uint8_t kV4 = 1, kV6 = 2;
constexpr std::uint8_t kMostRcode = 15;

bool is(Reader& reader, Control control) {
  return reader.u8() == static_cast<std::uint8_t>(control);
}

}  // namespace

bool NameQuestion::fits(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name.back() != '.' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < 0x7f && !(c >= 'A' && c <= 'Z'); });
}

std::optional<NameQuestion> NameQuestion::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (!is(reader, kNameQuestion)) return std::nullopt;
  NameQuestion question;
  question.nonce = reader.u64();
  question.families = reader.u8();
  question.name = as_text(reader.rest());
  const bool good =
      question.families >= 1 && question.families <= (kV4 | kV6) && fits(question.name);
  if (!reader.ok() || !good) return std::nullopt;
  return question;
}

void NameQuestion::write(Writer& writer) const {
  assert(fits(name));
  writer.u8(static_cast<std::uint8_t>(kNameQuestion));
  writer.u64(nonce);
  writer.u8(families);
  writer.bytes(as_bytes(name));
}

std::optional<NameFound> NameFound::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (!is(reader, kNameFound)) return std::nullopt;
  NameFound found;
  found.nonce = reader.u64();
  found.rcode = reader.u8();
  const std::uint8_t families = reader.u8();
  if ((families & kV4) != 0) found.ipv4 = IpAddress::v4(reader.u32());
  if ((families & kV6) != 0) found.ipv6 = IpAddress::v6(reader.array<16>());
  found.lifetime_s = reader.u32();
  const bool error_with_address = found.rcode != 0 && families != 0;
  const bool good = found.rcode <= kMostRcode && families <= (kV4 | kV6) && !error_with_address;
  if (!reader.complete() || !good || (found.ipv6 && found.ipv6->is_v4())) return std::nullopt;
  return found;
}

void NameFound::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(kNameFound));
  writer.u64(nonce);
  writer.u8(rcode);
  writer.u8(static_cast<std::uint8_t>((ipv4 ? kV4 : 0) | (ipv6 ? kV6 : 0)));
  if (ipv4) writer.u32(ipv4->to_v4());
  if (ipv6) writer.bytes(ipv6->bytes);
  writer.u32(lifetime_s);
}

std::optional<UnknownAddress> UnknownAddress::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (!is(reader, kUnknownAddress)) return std::nullopt;
  UnknownAddress unknown;
  unknown.address = IpAddress::v6(reader.array<16>());
  if (!reader.complete()) return std::nullopt;
  return unknown;
}

void UnknownAddress::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(kUnknownAddress));
  writer.bytes(address.bytes);
}

}  // namespace i3::wire
