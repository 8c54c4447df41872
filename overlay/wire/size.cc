#include "overlay/wire/size.hh"

#include <algorithm>

namespace i3::wire {
namespace {

bool is(Reader& reader, Control type) {
  return reader.u8() == static_cast<std::uint8_t>(type);
}

}  // namespace

std::optional<SizeProbe> SizeProbe::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (!is(reader, kSizeProbe)) return std::nullopt;
  const SizeProbe probe{reader.u64(), plaintext.size()};
  const Bytes rest = reader.rest();
  if (!reader.ok() || std::any_of(rest.begin(), rest.end(), [](auto byte) { return byte != 0; }))
    return std::nullopt;
  return probe;
}

void SizeProbe::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(kSizeProbe));
  writer.u64(nonce);
  for (std::size_t i = kLeast; i < size; ++i) writer.u8(0);
}

std::optional<SizeSeen> SizeSeen::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (!is(reader, kSizeSeen)) return std::nullopt;
  const SizeSeen seen{reader.u64()};
  if (!reader.complete()) return std::nullopt;
  return seen;
}

void SizeSeen::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(kSizeSeen));
  writer.u64(nonce);
}

std::optional<Piece> Piece::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (!is(reader, kPiece)) return std::nullopt;
  Piece piece;
  piece.number = reader.u32();
  piece.part = reader.u8();
  piece.bytes = reader.rest();
  if (!reader.ok() || piece.part > 1 || piece.bytes.empty() || piece.bytes.size() > kMost)
    return std::nullopt;
  return piece;
}

void Piece::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(kPiece));
  writer.u32(number);
  writer.u8(part);
  writer.bytes(bytes);
}

}  // namespace i3::wire
