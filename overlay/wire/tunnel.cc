#include "overlay/wire/tunnel.hh"

namespace i3::wire {

TunnelHello TunnelHello::read(Reader& reader) {
  if (as_text(reader.bytes(kMagic.size())) != kMagic || reader.u8() != kVersion) reader.fail();
  return {};
}

void TunnelHello::write(Writer& writer) const {
  writer.bytes(as_bytes(kMagic));
  writer.u8(kVersion);
}

TunnelWelcome TunnelWelcome::read(Reader& reader) {
  TunnelWelcome welcome;
  const std::uint8_t families = reader.u8();
  welcome.v4 = (families & 1) != 0;
  welcome.v6 = (families & 2) != 0;
  welcome.observed = read_endpoint(reader);
  welcome.contact = NodeContact::read(reader);
  if (families == 0 || families > 3 || !welcome.observed.valid()) reader.fail();
  return welcome;
}

void TunnelWelcome::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>((v4 ? 1 : 0) | (v6 ? 2 : 0)));
  write_endpoint(writer, observed);
  contact.write(writer);
}

TunnelDatagram TunnelDatagram::read(Reader& reader) {
  TunnelDatagram datagram;
  datagram.node = read_endpoint(reader);
  datagram.message = reader.rest();
  if (!datagram.node.valid() || datagram.message.empty() || datagram.message.size() > kMaxMessage)
    reader.fail();
  return datagram;
}

void TunnelDatagram::write(Writer& writer) const {
  write_endpoint(writer, node);
  writer.bytes(message);
}

std::optional<Frame> parse_frame(Bytes frame) {
  Reader reader(frame);
  std::optional<Frame> result;
  switch (static_cast<FrameKind>(reader.u8())) {
    case FrameKind::hello:
      result = TunnelHello::read(reader);
      break;
    case FrameKind::welcome:
      result = TunnelWelcome::read(reader);
      break;
    case FrameKind::datagram:
      result = TunnelDatagram::read(reader);
      break;
    case FrameKind::ping:
      result = TunnelPing{false, reader.u64()};
      break;
    case FrameKind::pong:
      result = TunnelPing{true, reader.u64()};
      break;
  }
  if (!reader.complete()) return std::nullopt;
  return result;
}

namespace {

FrameKind kind_of(const Frame& frame) {
  if (std::holds_alternative<TunnelHello>(frame)) return FrameKind::hello;
  if (std::holds_alternative<TunnelWelcome>(frame)) return FrameKind::welcome;
  if (std::holds_alternative<TunnelDatagram>(frame)) return FrameKind::datagram;
  return std::get<TunnelPing>(frame).answer ? FrameKind::pong : FrameKind::ping;
}

}  // namespace

void write_frame(Writer& writer, const Frame& frame) {
  std::array<std::uint8_t, kMaxFrame> body;
  Writer inner(body);
  inner.u8(static_cast<std::uint8_t>(kind_of(frame)));
  std::visit(
      [&](const auto& message) {
        if constexpr (std::is_same_v<std::decay_t<decltype(message)>, TunnelPing>)
          inner.u64(message.nonce);
        else
          message.write(inner);
      },
      frame);
  assert(inner.ok());
  writer.u16(static_cast<std::uint16_t>(inner.size()));
  writer.bytes(inner.written());
}

}  // namespace i3::wire
