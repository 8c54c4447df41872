// Writes the corpora of the wire targets from the real writers: i3-wire-corpus FOLDER.
#include <filesystem>
#include <fstream>

#include "overlay/wire/group.hh"
#include "overlay/wire/hello.hh"
#include "overlay/wire/reach.hh"
#include "overlay/wire/records.hh"
#include "overlay/wire/size.hh"
#include "overlay/wire/tunnel.hh"
#include "tests/fuzz/wire/node_world.hh"

namespace {

using namespace i3;
using Input = std::vector<std::uint8_t>;

std::filesystem::path folder;

void save(const std::string& target, const std::string& name, const Input& bytes) {
  std::filesystem::create_directories(folder / target);
  std::ofstream file(folder / target / name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

template <class Write>
Input written(Write write) {
  std::array<std::uint8_t, wire::kMaxMessage> buffer;
  Writer writer(buffer);
  write(writer);
  assert(writer.ok());
  return {writer.written().begin(), writer.written().end()};
}
template <class Message>
Input bytes_of(const Message& message) {
  return written([&](Writer& writer) { message.write(writer); });
}

wire::NodeContact dual(const Identity& identity) {
  wire::NodeContact contact;
  contact.key = identity.key();
  contact.k = 3;
  contact.v4 = Endpoint::parse("203.0.113.7:5100");
  contact.v6 = Endpoint::parse("[2001:db8::7]:5100");
  contact.tls_port = 443;
  return contact;
}

struct Family {
  std::string target;
  void add(const std::string& name, const Input& bytes) const { save(target, name, bytes); }
};

// A node's datagrams: source, length, bytes.
Input session(std::initializer_list<std::pair<std::uint8_t, Input>> datagrams) {
  Input result;
  for (const auto& [source, bytes] : datagrams) {
    result.push_back(source);
    result.push_back(static_cast<std::uint8_t>(bytes.size() >> 8));
    result.push_back(static_cast<std::uint8_t>(bytes.size()));
    result.insert(result.end(), bytes.begin(), bytes.end());
  }
  return result;
}

Input ring_message(const fuzz::NodeWorld& world, wire::RingKind kind, const Input& body) {
  wire::RingMessage message;
  message.kind = kind;
  message.sender = world.neighbour();
  message.body = body;
  Input bytes = written([&](Writer& writer) { message.write(writer, wire::PairKey{}); });
  // A zero MAC: the target puts the right one there.
  std::fill_n(bytes.end() - static_cast<std::ptrdiff_t>(body.size()) - 16, 16, std::uint8_t{0});
  return bytes;
}

void host_family(const Identity& identity, const wire::NodeContact& node) {
  const Family host{"wire_host"};
  wire::ProbeReply reply{7, *Endpoint::parse("192.0.2.1:4000"), node, {}};
  host.add("probe", bytes_of(wire::Probe{7}));
  host.add("probe_reply", written([&](Writer& writer) { reply.write(writer, identity); }));
  host.add("lookup", bytes_of(wire::Lookup{7, {1, 2}}));
  host.add("lookup_reply", bytes_of(wire::LookupReply{7, {1, 2}, {node, node}}));
  host.add("refresh", bytes_of(wire::Refresh{7, identity.key(), identity.key(), {1}}));
  host.add("refreshed", bytes_of(wire::Refreshed{7, 3, 30'000, {9}}));
  host.add("refused", bytes_of(wire::Refused{7, wire::Refusal::not_owner, node}));
  host.add("forwarded", bytes_of(wire::Forwarded{7, 1, public_id(identity.key()), node}));
  host.add("not_present", bytes_of(wire::NotPresent{7, public_id(identity.key())}));
  host.add("way", bytes_of(wire::Way{7, public_id(identity.key()), {7, 8}}));
  host.add("no_label", bytes_of(wire::NoLabel{{7, 8}}));
  const Endpoint seen = *Endpoint::parse("192.0.2.1:4000");
  host.add("reach", bytes_of(wire::Reach{wire::ReachHow::seen, 7, {}, {}}));
  host.add("reach_other", bytes_of(wire::Reach{wire::ReachHow::other_node, 7, seen, {1}}));
  host.add("reach_seen", bytes_of(wire::ReachSeen{7, seen, {1}, 40000, true}));
  host.add("reached", bytes_of(wire::Reached{wire::ReachHow::other_port, 7}));
  host.add("reach_for", bytes_of(wire::ReachForBody{7, seen}));
  host.add("step", bytes_of(wire::Step{7, public_id(identity.key())}));
  host.add("step_reply",
           bytes_of(wire::StepReply{7, public_id(identity.key()), true, true, 2, node, node}));
}

void record_family(const Identity& identity, const PublicKey& other) {
  const Family host{"wire_host"};
  const KeyRecord moved = KeyRecord::move(identity, other, 9);
  const KeyRecord revoked = KeyRecord::revoke(identity, 9);
  host.add("record_put", bytes_of(wire::RecordPut{7, {1}, moved}));
  host.add("record_put_revoked", bytes_of(wire::RecordPut{7, {}, revoked}));
  host.add("record_kept", bytes_of(wire::RecordKept{7, 3600}));
  host.add("record_ask", bytes_of(wire::RecordAsk{7, identity.key()}));
  host.add("records", bytes_of(wire::Records{7, identity.key(), {moved, moved}}));
  host.add("records_none", bytes_of(wire::Records{7, identity.key(), {}}));
  const std::string text = moved.encode();
  save("key_record", "moved", Input(text.begin(), text.end()));
  const std::string other_text = revoked.encode();
  save("key_record", "revoked", Input(other_text.begin(), other_text.end()));
}

wire::Insert insertion(const Identity& identity) {
  wire::Insert insert;
  insert.nonce = 7;
  insert.owner = identity.key();
  insert.id = public_id(identity.key());
  insert.sequence = 1;
  insert.lifetime_ms = 30'000;
  return insert;
}

void insert_family(const Identity& identity, const wire::NodeContact& node) {
  const Family family{"wire_insert"};
  wire::Insert insert = insertion(identity);
  family.add("question", bytes_of(insert));
  insert.delegation = wire::Delegation::issue(identity, identity.key(), 5, 3, {0xa0});
  insert.stack = {wire::Consent::issue(identity, insert.id, 0, insert.id, 5)};
  family.add("proof", written([&](Writer& writer) {
               insert.write_proof(writer, identity, {9}, *node.v4, {1, 2});
             }));
  insert.every_stop = true;
  family.add("every_stop", bytes_of(insert));
  family.add("challenge", bytes_of(wire::Challenge{7, {9}, *node.v4, node}));
  family.add("inserted", bytes_of(wire::Inserted{7, insert.id, {1, 2}, 30'000, {3}, {node}}));
}

void ring_family(const Identity& identity, const wire::NodeContact& node) {
  const Family family{"wire_ring"};
  const Id id = public_id(identity.key());
  wire::IdPacket packet;
  packet.ids[0] = id;
  const Input inner = bytes_of(packet), absent = bytes_of(wire::NotPresent{7, id});
  family.add("nonce", bytes_of(wire::NonceBody{7}));
  family.add("pong", bytes_of(wire::PongBody{7, 8}));
  family.add("state_request",
             bytes_of(wire::StateRequestBody{7, wire::StateRequestBody::kSuccessors, 8}));
  family.add("state",
             bytes_of(wire::StateBody{7, wire::StateBody::kSuccessors, node, {node, node}, {}}));
  family.add("state_fingers",
             bytes_of(wire::StateBody{7, wire::StateBody::kFingers, node, {node, node}, {3, 250}}));
  family.add("find", bytes_of(wire::FindBody{7, 8, 9, {1, 2}, 3, wire::FindBody::kByPath, node}));
  family.add("relay", bytes_of(wire::RelayBody{node, inner}));
  family.add("found", bytes_of(wire::FoundBody{7, {1, 2}, 3, {node}}));
  family.add("forward", bytes_of(wire::ForwardBody{node, {1}, inner}));
  family.add("reply", bytes_of(wire::ReplyBody{{1}, absent}));
  family.add("leave", bytes_of(wire::LeaveBody{7, node, {node}}));
  wire::RingMessage message;
  message.kind = wire::RingKind::ping;
  message.sender = node;
  message.membership = wire::Membership::issue(identity, node.key, 5);
  const Input body = bytes_of(wire::NonceBody{7});
  message.body = body;
  family.add("envelope", written([&](Writer& writer) { message.write(writer, wire::PairKey{}); }));
}

void carrier_family(const Identity& identity) {
  const Family family{"wire_carriers"};
  const Input payload{1, 2, 3, 4, 5, 6, 7, 8};
  wire::IdPacket packet;
  packet.flags = wire::IdPacket::kWantNode;
  packet.id_count = 2;
  packet.ids[0] = packet.ids[1] = public_id(identity.key());
  packet.payload = payload;
  family.add("packet", bytes_of(packet));
  family.add("returned", bytes_of(wire::Returned{1, {1, 2}, payload}));
  family.add("labelled", written([&](Writer& writer) {
               wire::Labelled::write_front(writer, 4, {1, 2});
               writer.bytes(payload);
             }));
  family.add("direct", written([&](Writer& writer) {
               wire::Direct::write_front(writer, 4);
               writer.bytes(payload);
             }));
}

void group_family(const Identity& identity) {
  const Family family{"wire_group"};
  family.add("ask", bytes_of(wire::GroupAsk{7}));
  family.add("answer", bytes_of(wire::GroupAnswer{
                           7, wire::Delegation::issue(identity, identity.key(), 99, 4, {0xa0})}));
  wire::GroupData data{identity.key(), 1, 2, 3, {}};
  Input sealed = written([&](Writer& writer) { data.write_front(writer); });
  sealed.resize(sealed.size() + 40);
  family.add("data", sealed);
}

void hello_family(const Identity& identity, const wire::NodeContact& node) {
  const Family family{"wire_hello"};
  wire::Hello hello;
  hello.shortcuts = true;
  hello.ipv4 = 0x64400001;
  hello.path.id = public_id(identity.key());
  hello.path.nodes = {{node, {1, 2}}};
  hello.candidates = {*node.v4, *node.v6};
  family.add("paths", bytes_of(wire::Paths{7, hello}));
  const Input early{0x45, 0, 0, 20};
  hello.early = early;
  family.add("hello", bytes_of(hello));
  hello.through = {wire::Through::Way::to_box, identity.key(),
                   wire::Spokesman::issue(identity, identity.key(), identity.key(), 7)};
  hello.redirect = wire::Redirect::issue(identity, identity.key(), identity.key(), 8);
  family.add("hello_to_box", bytes_of(hello));
  hello.through->way = wire::Through::Way::from_box;
  hello.redirect.reset();
  family.add("hello_from_box", bytes_of(hello));
  wire::Hello by_stop;
  by_stop.path.id = public_id(identity.key());
  by_stop.stop = owner_prefix(identity.key(), kPassSalt);
  family.add("hello_by_stop", bytes_of(by_stop));
  family.add("ping", bytes_of(wire::NonceControl{wire::Control::ping, 7}));
  family.add("response", bytes_of(wire::PathResponse{7, *node.v4}));
  family.add("size-probe", bytes_of(wire::SizeProbe{7, 40}));
  family.add("size-seen", bytes_of(wire::SizeSeen{7}));
  family.add("piece", bytes_of(wire::Piece{7, 1, as_bytes("half a packet")}));
}

// Each stream after the byte that says where it is cut.
void tunnel_family(const wire::NodeContact& node) {
  const Family family{"wire_tunnel"};
  const auto stream = [](std::initializer_list<wire::Frame> frames) {
    std::array<std::uint8_t, 8192> buffer;
    Writer writer(buffer);
    writer.u8(100);
    for (const wire::Frame& frame : frames) wire::write_frame(writer, frame);
    assert(writer.ok());
    return Input(writer.written().begin(), writer.written().end());
  };
  const Input lookup = bytes_of(wire::Lookup{7, {1, 2}});
  const Endpoint seen = *Endpoint::parse("[2001:db8::9]:40000");
  family.add("host", stream({wire::TunnelHello{}, wire::TunnelDatagram{*node.v4, lookup},
                             wire::TunnelPing{false, 7}}));
  family.add("node", stream({wire::TunnelWelcome{true, true, seen, node},
                             wire::TunnelDatagram{*node.v6, lookup}, wire::TunnelPing{true, 7}}));
  const std::string_view http = "\x10GET / HTTP/1.1\r\n\r\n";
  family.add("http", Input(http.begin(), http.end()));
  family.add("too_long", Input{0, 0x08, 0x14, 3, 0, 0});
}

// Sessions with a node, made by talking to the same world that the target builds.
void node_family() {
  const Family family{"node_datagram"};
  fuzz::NodeWorld world;
  const auto& peer = *world.peer;
  const wire::NodeContact node = world.neighbour();
  const Id id = public_id(peer.key());
  wire::IdPacket packet;
  packet.flags = wire::IdPacket::kWantNode;
  packet.ids[0] = id;
  packet.id_count = 2;
  packet.ids[1] = public_id(world.me->key());
  const Input asked = bytes_of(insertion(peer)), sent = bytes_of(packet);
  family.add("questions", session({{2, bytes_of(wire::Probe{7})},
                                   {2, bytes_of(wire::Lookup{7, {1, 2}})},
                                   {2, asked},
                                   {2, sent},
                                   {2, bytes_of(wire::Refresh{7, peer.key(), peer.key(), {}})},
                                   {2, bytes_of(wire::Returned{1, {1}, {}})}}));
  const Endpoint elsewhere = *Endpoint::parse("192.0.2.1:4000");
  family.add("reach", session({{2, bytes_of(wire::Reach{wire::ReachHow::seen, 7, {}, {}})},
                               {2, bytes_of(wire::Reach{wire::ReachHow::same, 7, elsewhere, {}})},
                               {2, bytes_of(wire::Step{7, id})},
                               {0x22, ring_message(world, wire::RingKind::reach_for,
                                                   bytes_of(wire::ReachForBody{7, elsewhere}))}}));
  const KeyRecord record = KeyRecord::revoke(peer, 9);
  family.add("records", session({{2, bytes_of(wire::RecordAsk{7, peer.key()})},
                                 {2, bytes_of(wire::RecordPut{8, {}, record})},
                                 {2, bytes_of(wire::RecordAsk{9, peer.key()})}}));
  Input labelled = written([&](Writer& writer) { wire::Labelled::write_front(writer, 4, {}); });
  family.add("labelled", session({{2, labelled}}));
  using wire::RingKind;
  const Input nonce = bytes_of(wire::NonceBody{7});
  const Input ping = ring_message(world, RingKind::ping, nonce);
  const Input asks = bytes_of(wire::StateRequestBody{7, wire::StateRequestBody::kSuccessors, 0});
  const Input finds = bytes_of(wire::FindBody{7, 8, 0, {1, 2}, 0, 0, node});
  const Input forwards = bytes_of(wire::ForwardBody{node, {1}, sent});
  const Input leaves = bytes_of(wire::LeaveBody{7, node, {node}});
  const Input relays = bytes_of(wire::RelayBody{node, ping});
  family.add("ring", session({{0x22, ping},
                              {0x22, ring_message(world, RingKind::state_request, asks)},
                              {0x22, ring_message(world, RingKind::notify, {})},
                              {0x22, ring_message(world, RingKind::find, finds)},
                              {0x22, ring_message(world, RingKind::forward, forwards)},
                              {0x22, ring_message(world, RingKind::relay, relays)},
                              {0x22, ring_message(world, RingKind::relayed, ping)},
                              {0x22, ring_message(world, RingKind::leave, leaves)}}));
}

}  // namespace

int main(int count, char** values) {
  if (count != 2) return 2;
  folder = values[1];
  fuzz::NodeWorld world;
  const wire::NodeContact node = dual(*world.peer);
  host_family(*world.peer, node);
  record_family(*world.peer, world.me->key());
  insert_family(*world.peer, node);
  ring_family(*world.peer, node);
  carrier_family(*world.peer);
  hello_family(*world.peer, node);
  group_family(*world.peer);
  tunnel_family(node);
  node_family();
  return 0;
}
