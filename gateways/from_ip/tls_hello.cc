// 1 join the records  2 the handshake message  3 its extensions  4 the server name
#include <optional>
#include <vector>

#include "gateways/from_ip/first_bytes.hh"

namespace i3 {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22, kClientHello = 1;
constexpr std::size_t kRecordHead = 5, kMessageHead = 4;
constexpr std::size_t kMaxRecord = 16384;  // RFC 8446 5.1
constexpr std::uint16_t kServerName = 0, kEncryptedClientHello = 0xfe0d;

std::size_t length_of(Bytes message) {
  return static_cast<std::size_t>(message[1] << 16 | message[2] << 8 | message[3]);
}

FirstBytes plain(FirstBytes::State state) {
  FirstBytes result;
  result.state = state;
  return result;
}
FirstBytes other() {
  return plain(FirstBytes::State::other);
}
FirstBytes more(std::size_t needed) {
  if (needed > kMaxFirstBytes) return other();
  FirstBytes result;
  result.needed = needed;
  return result;
}

// The body of the extension: a list with at most one name of the kind "host name".
std::optional<std::string> read_server_name(Bytes body) {
  Reader reader(body);
  Reader list(reader.bytes(reader.u16()));
  if (!reader.complete()) return std::nullopt;
  std::optional<std::string> name;
  while (list.ok() && list.left() > 0) {
    const std::uint8_t kind = list.u8();
    const Bytes value = list.bytes(list.u16());
    if (kind != 0) continue;
    if (name || value.empty()) return std::nullopt;
    const std::string_view text = as_text(value);
    if (text.find(':') == text.npos) name = host_of_authority(text);
  }
  if (!list.ok()) return std::nullopt;
  return name.value_or("");
}

FirstBytes read_extensions(Bytes bytes) {
  Reader reader(bytes);
  FirstBytes result = plain(FirstBytes::State::nameless);
  bool seen = false;
  while (reader.ok() && reader.left() > 0) {
    const std::uint16_t type = reader.u16();
    const Bytes body = reader.bytes(reader.u16());
    if (!reader.ok()) return other();
    if (type == kEncryptedClientHello) result.encrypted = true;
    if (type != kServerName) continue;
    auto name = read_server_name(body);
    if (!name || seen) return other();
    seen = true;
    result.name = std::move(*name);
  }
  if (!reader.ok()) return other();
  if (!result.name.empty()) result.state = FirstBytes::State::named;
  return result;
}

FirstBytes read_message(Bytes body) {
  Reader reader(body);
  reader.skip(2 + 32);  // version, random
  const std::size_t session = reader.u8();
  reader.skip(session);
  const std::size_t ciphers = reader.u16();
  reader.skip(ciphers);
  const std::size_t compressions = reader.u8();
  reader.skip(compressions);
  if (!reader.ok() || session > 32 || ciphers < 2 || ciphers % 2 != 0 || compressions == 0)
    return other();
  if (reader.complete()) return plain(FirstBytes::State::nameless);  // before TLS 1.2 had any
  const Bytes extensions = reader.bytes(reader.u16());
  if (!reader.complete()) return other();
  return read_extensions(extensions);
}

}  // namespace

FirstBytes read_tls_hello(Bytes stream) {
  std::vector<std::uint8_t> message;
  std::size_t at = 0;
  for (;;) {
    // Said as early as it shows, so that another protocol need not wait for five bytes.
    const Bytes head = stream.subspan(at).first(std::min(kRecordHead, stream.size() - at));
    if (!head.empty() && head[0] != kHandshakeRecord) return other();
    if (head.size() > 1 && head[1] != 3) return other();
    if (head.size() < kRecordHead) return more(at + kRecordHead);
    const std::size_t size = static_cast<std::size_t>(head[3] << 8 | head[4]);
    if (size == 0 || size > kMaxRecord) return other();
    const std::size_t end = at + kRecordHead + size;
    const std::size_t have = std::min(end, stream.size());
    const Bytes piece = stream.subspan(at + kRecordHead, have - at - kRecordHead);
    message.insert(message.end(), piece.begin(), piece.end());
    if (!message.empty() && message[0] != kClientHello) return other();
    const bool known = message.size() >= kMessageHead;
    const std::size_t whole = kMessageHead + (known ? length_of(message) : 0);
    if (whole > kMaxFirstBytes) return other();
    if (known && message.size() >= whole)
      return read_message(Bytes(message).subspan(kMessageHead, whole - kMessageHead));
    // Within a record the message may end before the record does.
    if (have < end) return more(stream.size() + std::min(whole - message.size(), end - have));
    at = end;
  }
}

}  // namespace i3
