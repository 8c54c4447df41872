#include "overlay/wire/hello.hh"

namespace i3::wire {
namespace {

constexpr std::uint8_t kShortcuts = 1, kToBox = 2, kFromBox = 4, kRedirect = 8, kStop = 16;
constexpr std::uint8_t kAllFlags = kShortcuts | kToBox | kFromBox | kRedirect | kStop;

}  // namespace

ReturnPath ReturnPath::read(Reader& reader) {
  ReturnPath path;
  path.id = Id::read(reader);
  const std::size_t count = reader.u8();
  if (count > kMaxNodes) reader.fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    NodeContact node = NodeContact::read(reader);
    path.nodes.push_back({std::move(node), Label::read(reader)});
  }
  return path;
}

void ReturnPath::write(Writer& writer) const {
  assert(nodes.size() <= kMaxNodes);
  id.write(writer);
  writer.u8(static_cast<std::uint8_t>(nodes.size()));
  for (const At& at : nodes) {
    at.node.write(writer);
    at.label.write(writer);
  }
}

std::optional<Hello> Hello::parse(Bytes payload) {
  Reader reader(payload);
  Hello hello;
  const std::uint8_t flags = reader.u8();
  hello.shortcuts = (flags & kShortcuts) != 0;
  hello.ipv4 = reader.u32();
  hello.ipv6 = reader.array<16>();
  hello.mtu = reader.u16();
  hello.path = ReturnPath::read(reader);
  const std::size_t count = reader.u8();
  if (count > kMaxCandidates || (flags & ~kAllFlags) != 0) reader.fail();
  if ((flags & kToBox) != 0 && (flags & kFromBox) != 0) reader.fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i)
    hello.candidates.push_back(read_endpoint(reader));
  if ((flags & (kToBox | kFromBox)) != 0) {
    hello.through.emplace();
    hello.through->way = (flags & kToBox) != 0 ? Through::Way::to_box : Through::Way::from_box;
    hello.through->other = PublicKey::read(reader);
    hello.through->leave = Spokesman::read(reader);
  }
  if ((flags & kRedirect) != 0) hello.redirect = Redirect::read(reader);
  if ((flags & kStop) != 0) {
    hello.stop = Id::read(reader);
    if (hello.shortcuts || !hello.path.nodes.empty() || count != 0) reader.fail();
  }
  if (!reader.ok()) return std::nullopt;
  hello.early = reader.rest();
  return hello;
}

void Hello::write(Writer& writer) const {
  assert(candidates.size() <= kMaxCandidates);
  std::uint8_t flags = shortcuts ? kShortcuts : 0;
  if (through) flags |= through->way == Through::Way::to_box ? kToBox : kFromBox;
  if (redirect) flags |= kRedirect;
  if (stop) flags |= kStop;
  writer.u8(flags);
  writer.u32(ipv4);
  writer.bytes(ipv6);
  writer.u16(mtu);
  path.write(writer);
  writer.u8(static_cast<std::uint8_t>(candidates.size()));
  for (const Endpoint& candidate : candidates) write_endpoint(writer, candidate);
  if (through) {
    through->other.write(writer);
    through->leave.write(writer);
  }
  if (redirect) redirect->write(writer);
  if (stop) stop->write(writer);
  writer.bytes(early);
}

std::optional<NonceControl> NonceControl::parse(Bytes plaintext) {
  Reader reader(plaintext);
  NonceControl control;
  control.type = static_cast<Control>(reader.u8());
  control.nonce = reader.u64();
  const bool known = control.type == Control::path_challenge ||
                     control.type == Control::paths_ack || control.type == Control::ping ||
                     control.type == Control::pong;
  if (!reader.complete() || !known) return std::nullopt;
  return control;
}

void NonceControl::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u64(nonce);
}

std::optional<PathResponse> PathResponse::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (reader.u8() != static_cast<std::uint8_t>(Control::path_response)) return std::nullopt;
  PathResponse response;
  response.nonce = reader.u64();
  response.observed = read_endpoint(reader);
  if (!reader.complete()) return std::nullopt;
  return response;
}

void PathResponse::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(Control::path_response));
  writer.u64(nonce);
  write_endpoint(writer, observed);
}

std::optional<Paths> Paths::parse(Bytes plaintext) {
  Reader reader(plaintext);
  if (reader.u8() != static_cast<std::uint8_t>(Control::paths)) return std::nullopt;
  Paths paths;
  paths.sequence = reader.u64();
  auto hello = Hello::parse(reader.rest());
  if (!reader.ok() || !hello || !hello->early.empty() || hello->through || hello->redirect)
    return std::nullopt;
  paths.hello = std::move(*hello);
  return paths;
}

void Paths::write(Writer& writer) const {
  writer.u8(static_cast<std::uint8_t>(Control::paths));
  writer.u64(sequence);
  hello.write(writer);
}

}  // namespace i3::wire
