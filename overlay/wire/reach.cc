#include "overlay/wire/reach.hh"

namespace i3::wire {
namespace {

void read_padding(Reader& reader) {
  for (std::uint8_t byte : reader.rest())
    if (byte != 0) reader.fail();
}

std::uint8_t open(Reader& reader, Type type, std::uint8_t most_kind = 0) {
  const Header header = Header::read(reader);
  if (header.type != type || header.kind > most_kind || header.flags != 0) reader.fail();
  return header.kind;
}

constexpr std::uint8_t kMostHow = static_cast<std::uint8_t>(ReachHow::other_node);
constexpr std::uint8_t kOwner = 1, kInRing = 2;

}  // namespace

std::optional<Reach> Reach::parse(Bytes message) {
  Reader reader(message);
  Reach reach;
  reach.how = static_cast<ReachHow>(open(reader, Type::reach, kMostHow));
  reach.nonce = reader.u64();
  reach.target = read_endpoint(reader);
  reach.cookie = reader.array<16>();
  read_padding(reader);
  const bool whole = reach.target.valid() == (reach.how != ReachHow::seen);
  if (message.size() != kSize || !reader.complete() || !whole) return std::nullopt;
  return reach;
}

void Reach::write(Writer& writer) const {
  Header{Type::reach, static_cast<std::uint8_t>(how), 0}.write(writer);
  writer.u64(nonce);
  write_endpoint(writer, target);
  writer.bytes(cookie);
  writer.zeros(kSize - kHeaderSize - 8 - kEndpointSize - 16);
}

std::optional<ReachSeen> ReachSeen::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::reach_seen);
  ReachSeen seen;
  seen.nonce = reader.u64();
  seen.observed = read_endpoint(reader);
  seen.cookie = reader.array<16>();
  seen.other_port = reader.u16();
  const std::uint8_t other = reader.u8();
  seen.other_node = other == 1;
  if (!reader.complete() || other > 1) return std::nullopt;
  return seen;
}

void ReachSeen::write(Writer& writer) const {
  Header{Type::reach_seen, 0, 0}.write(writer);
  writer.u64(nonce);
  write_endpoint(writer, observed);
  writer.bytes(cookie);
  writer.u16(other_port);
  writer.u8(other_node ? 1 : 0);
}

std::optional<Reached> Reached::parse(Bytes message) {
  Reader reader(message);
  Reached reached;
  reached.how = static_cast<ReachHow>(open(reader, Type::reached, kMostHow));
  reached.nonce = reader.u64();
  if (!reader.complete()) return std::nullopt;
  return reached;
}

void Reached::write(Writer& writer) const {
  Header{Type::reached, static_cast<std::uint8_t>(how), 0}.write(writer);
  writer.u64(nonce);
}

std::optional<ReachForBody> ReachForBody::parse(Bytes body) {
  Reader reader(body);
  ReachForBody reach;
  reach.nonce = reader.u64();
  reach.target = read_endpoint(reader);
  if (!reader.complete() || !reach.target.valid()) return std::nullopt;
  return reach;
}

void ReachForBody::write(Writer& writer) const {
  writer.u64(nonce);
  write_endpoint(writer, target);
}

std::optional<Step> Step::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::step);
  Step step;
  step.nonce = reader.u64();
  step.id = Id::read(reader);
  read_padding(reader);
  if (message.size() != kSize || !reader.complete()) return std::nullopt;
  return step;
}

void Step::write(Writer& writer) const {
  Header{Type::step, 0, 0}.write(writer);
  writer.u64(nonce);
  id.write(writer);
  writer.zeros(kSize - kHeaderSize - 8 - 32);
}

std::optional<StepReply> StepReply::parse(Bytes message) {
  Reader reader(message);
  open(reader, Type::step_reply);
  StepReply reply;
  reply.nonce = reader.u64();
  reply.id = Id::read(reader);
  const std::uint8_t flags = reader.u8();
  if ((flags & ~(kOwner | kInRing)) != 0) reader.fail();
  reply.owner = (flags & kOwner) != 0;
  reply.in_ring = (flags & kInRing) != 0;
  reply.matches = reader.u8();
  auto contacts = read_contacts(reader, 2);
  if (!reader.complete() || contacts.empty()) return std::nullopt;
  reply.node = std::move(contacts[0]);
  if (contacts.size() == 2) reply.next = std::move(contacts[1]);
  return reply;
}

void StepReply::write(Writer& writer) const {
  Header{Type::step_reply, 0, 0}.write(writer);
  writer.u64(nonce);
  id.write(writer);
  writer.u8(static_cast<std::uint8_t>((owner ? kOwner : 0) | (in_ring ? kInRing : 0)));
  writer.u8(matches);
  std::vector<NodeContact> contacts{node};
  if (next) contacts.push_back(*next);
  write_contacts(writer, contacts);
}

}  // namespace i3::wire
