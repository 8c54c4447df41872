#include "gateways/middlebox/plugin_wire.hh"

#include <algorithm>
#include <cassert>

namespace i3 {
namespace {

constexpr std::uint8_t kVersion = 1;
enum Type : std::uint8_t { kHello = 1, kPacket = 2, kVerdict = 3, kText = 4 };

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= PluginHello::kMaxName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-';
         });
}

std::string read_name(Reader& reader) {
  return std::string(as_text(reader.bytes(reader.u8())));
}

void write_name(Writer& writer, std::string_view name) {
  name = name.substr(0, 255);
  writer.u8(static_cast<std::uint8_t>(name.size()));
  writer.bytes(as_bytes(name));
}

std::optional<PluginMessage> read_hello(Reader& reader) {
  PluginHello hello;
  const bool known = reader.u8() == kVersion;
  const std::uint8_t judges = reader.u8();
  hello.judges = judges == 1;
  hello.name = as_text(reader.rest());
  if (!reader.ok() || !known || judges > 1 || !good_name(hello.name)) return std::nullopt;
  return hello;
}

std::optional<PluginMessage> read_packet(Reader& reader) {
  PluginPacket packet;
  packet.number = reader.u64();
  packet.wall = reader.u64();
  packet.from = read_name(reader);
  packet.to = read_name(reader);
  packet.packet = reader.rest();
  if (!reader.ok() || packet.packet.empty()) return std::nullopt;
  return packet;
}

std::optional<PluginMessage> read_verdict(Reader& reader) {
  PluginVerdict verdict;
  verdict.number = reader.u64();
  const std::uint8_t drop = reader.u8();
  verdict.drop = drop == 1;
  if (!reader.complete() || drop > 1) return std::nullopt;
  return verdict;
}

std::optional<PluginMessage> read_text(Reader& reader) {
  PluginText text;
  const std::uint8_t alert = reader.u8();
  text.alert = alert == 1;
  text.text = as_text(reader.rest());
  if (!reader.ok() || alert > 1 || text.text.empty() || text.text.size() > PluginText::kMaxText)
    return std::nullopt;
  return text;
}

struct Write {
  Writer& writer;
  void operator()(const PluginHello& hello) const {
    writer.u8(kHello);
    writer.u8(kVersion);
    writer.u8(hello.judges ? 1 : 0);
    writer.bytes(as_bytes(hello.name));
  }
  void operator()(const PluginPacket& packet) const {
    writer.u8(kPacket);
    writer.u64(packet.number);
    writer.u64(packet.wall);
    write_name(writer, packet.from);
    write_name(writer, packet.to);
    writer.bytes(packet.packet);
  }
  void operator()(const PluginVerdict& verdict) const {
    writer.u8(kVerdict);
    writer.u64(verdict.number);
    writer.u8(verdict.drop ? 1 : 0);
  }
  void operator()(const PluginText& text) const {
    writer.u8(kText);
    writer.u8(text.alert ? 1 : 0);
    writer.bytes(as_bytes(std::string_view(text.text).substr(0, PluginText::kMaxText)));
  }
};

}  // namespace

std::optional<PluginMessage> parse_plugin_message(Bytes message) {
  Reader reader(message);
  switch (reader.u8()) {
    case kHello:
      return read_hello(reader);
    case kPacket:
      return read_packet(reader);
    case kVerdict:
      return read_verdict(reader);
    case kText:
      return read_text(reader);
    default:
      return std::nullopt;
  }
}

std::vector<std::uint8_t> written(const PluginMessage& message) {
  std::vector<std::uint8_t> buffer(kMaxPluginMessage);
  Writer writer(MutBytes(buffer).subspan(2));
  std::visit(Write{writer}, message);
  assert(writer.ok());  // an IP packet and two names fit
  const std::size_t size = writer.size();
  Writer(buffer).u16(static_cast<std::uint16_t>(size));
  buffer.resize(2 + size);
  return buffer;
}

bool PluginStream::add(Bytes bytes) {
  if (broken_) return false;
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(read_));
  read_ = 0;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return true;
}

std::optional<PluginMessage> PluginStream::next() {
  const Bytes rest = Bytes(bytes_).subspan(read_);
  if (broken_ || rest.size() < 2) return std::nullopt;
  const std::size_t size = Reader(rest).u16();
  if (size > kMaxPluginMessage - 2) broken_ = true;
  if (broken_ || rest.size() < 2 + size) return std::nullopt;
  const Bytes body = rest.subspan(2, size);
  message_.assign(body.begin(), body.end());
  read_ += 2 + size;
  auto message = parse_plugin_message(message_);
  if (!message) broken_ = true;
  return message;
}

}  // namespace i3
