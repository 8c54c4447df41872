#include "proxy/settings/invitation.hh"

#include <algorithm>

#include "overlay/base/xml/values.hh"
#include "proxy/settings/pasted.hh"

namespace i3 {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kHasOperatorKey = 1;
constexpr std::uint8_t kNodeHasKey = 0x80;
constexpr std::size_t kMaximumName = 253;

std::array<std::uint8_t, 4> checksum(Bytes body) {
  return blake2b<4>("i3 invitation", {body});
}

void write_endpoint(Writer& writer, const Endpoint& endpoint) {
  writer.u8(endpoint.address.is_v4() ? 4 : 6);
  if (endpoint.address.is_v4()) {
    writer.u32(endpoint.address.to_v4());
  } else {
    writer.bytes(endpoint.address.bytes);
  }
  writer.u16(endpoint.port);
}

std::optional<Endpoint> read_endpoint(Reader& reader) {
  Endpoint endpoint;
  const std::uint8_t family = reader.u8();
  if (family == 4) {
    endpoint.address = IpAddress::v4(reader.u32());
  } else if (family == 6) {
    endpoint.address = IpAddress::v6(reader.array<16>());
    if (endpoint.address.is_v4()) return std::nullopt;  // one form for one address
  } else {
    return std::nullopt;
  }
  endpoint.port = reader.u16();
  if (!reader.ok() || !endpoint.valid() || endpoint.address.multicast()) return std::nullopt;
  return endpoint;
}

std::optional<InvitedNode> read_node(Reader& reader) {
  InvitedNode node;
  const std::uint8_t flags = reader.u8();
  const std::size_t count = flags & 0x7f;
  if (count == 0 || count > Invitation::kMaximumAddresses) return std::nullopt;
  if (flags & kNodeHasKey) {
    node.key = PublicKey::read(reader);
    if (!node.key->valid_point()) return std::nullopt;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto endpoint = read_endpoint(reader);
    if (!endpoint) return std::nullopt;
    node.addresses.push_back(*endpoint);
  }
  return node;
}

std::optional<Invitation> read_body(Reader& reader) {
  Invitation result;
  const std::uint8_t flags = reader.u8();
  if (flags & ~kHasOperatorKey) return std::nullopt;
  std::string why;
  const auto name = book_name(as_text(reader.bytes(reader.u8())), why);
  if (!name) return std::nullopt;
  result.name = *name;
  result.key = PublicKey::read(reader);
  if (const std::uint32_t four = reader.u32(); four != 0) result.ipv4 = IpAddress::v4(four);
  if (const auto six = IpAddress::v6(reader.array<16>()); six != IpAddress{}) {
    if (six.is_v4()) return std::nullopt;
    result.ipv6 = six;
  }
  if (flags & kHasOperatorKey) {
    result.operator_key = PublicKey::read(reader);
    if (!result.operator_key->valid_point()) return std::nullopt;
  }
  const std::size_t count = reader.u8();
  if (count > Invitation::kMaximumNodes || !result.key.valid_point()) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    auto node = read_node(reader);
    if (!node) return std::nullopt;
    result.nodes.push_back(std::move(*node));
  }
  if (!reader.complete()) return std::nullopt;
  return result;
}

}  // namespace

std::string Invitation::encode() const {
  std::array<std::uint8_t, 4096> buffer{};
  Writer writer(buffer);
  writer.u8(kVersion);
  writer.u8(operator_key ? kHasOperatorKey : 0);
  const std::string_view short_name = std::string_view(name).substr(0, kMaximumName);
  writer.u8(static_cast<std::uint8_t>(short_name.size()));
  writer.bytes(as_bytes(short_name));
  key.write(writer);
  writer.u32(ipv4 && ipv4->is_v4() ? ipv4->to_v4() : 0);
  writer.bytes(ipv6 ? ipv6->bytes : IpAddress{}.bytes);
  if (operator_key) operator_key->write(writer);
  std::vector<const InvitedNode*> usable;
  for (const InvitedNode& node : nodes)
    if (!node.addresses.empty() && usable.size() < kMaximumNodes) usable.push_back(&node);
  writer.u8(static_cast<std::uint8_t>(usable.size()));
  for (const InvitedNode* node : usable) {
    const std::size_t count = std::min(node->addresses.size(), kMaximumAddresses);
    writer.u8(static_cast<std::uint8_t>(count | (node->key ? kNodeHasKey : 0)));
    if (node->key) node->key->write(writer);
    for (std::size_t i = 0; i < count; ++i) write_endpoint(writer, node->addresses[i]);
  }
  const auto sum = checksum(writer.written());
  writer.bytes(sum);
  return std::string(kPrefix) + base32(writer.written());
}

std::optional<Invitation> Invitation::decode(std::string_view text, std::string& why) {
  if (text.size() > 4 * kMaximumText) {
    why = "this is too long for an invitation";
    return std::nullopt;
  }
  const std::string line = tidied(text);
  if (!line.starts_with(kPrefix)) {
    why = "this is no invitation: it does not start with " + std::string(kPrefix);
    return std::nullopt;
  }
  const auto bytes = from_base32(std::string_view(line).substr(kPrefix.size()));
  if (!bytes || bytes->size() < 5 || line.size() > kMaximumText) {
    why = "the invitation is damaged: a part is missing or a character is wrong; copy it again";
    return std::nullopt;
  }
  const Bytes body = Bytes(*bytes).first(bytes->size() - 4);
  if (!equal_constant_time(checksum(body), Bytes(*bytes).last(4))) {
    why = "the invitation is damaged: its checksum does not fit; copy it again";
    return std::nullopt;
  }
  Reader reader(body);
  if (const unsigned version = reader.u8(); version != kVersion) {
    why = "the invitation has version " + std::to_string(version) +
          ", this program knows version 1; bring the older of both programs up to date";
    return std::nullopt;
  }
  auto result = read_body(reader);
  if (!result) why = "the invitation is wrong: its maker's program wrote what cannot be";
  return result;
}

std::vector<EntryNode> Invitation::entry_nodes() const {
  std::vector<EntryNode> result;
  for (const InvitedNode& node : nodes)
    for (const Endpoint& address : node.addresses) result.push_back({address, node.key});
  return result;
}

}  // namespace i3
