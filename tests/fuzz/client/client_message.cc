// Feeds arbitrary messages to a client in each of its phases.
//
// Input: steps of  what 1 | length 2 | bytes. `what`: bits 0-1 the sender (entry node, owner,
// stranger, the host itself); bit 2: write the nonce, position and ID that the client used last
// into the message, so that the checks of those do not hide what lies behind them; bits 3-4: how
// far time goes on before; bits 5-7: what the host does afterwards.
#include <cstdint>
#include <cstdlib>

#include "overlay/client/client.hh"
#include "overlay/wire/insert.hh"

using namespace i3;
using namespace std::chrono_literals;

namespace {

const Endpoint kEntry = *Endpoint::parse("203.0.113.7:5100");
const Endpoint kOwner = *Endpoint::parse("203.0.114.7:5100");
const Endpoint kStranger = *Endpoint::parse("[2001:db8::1]:9");
const Endpoint kHost = *Endpoint::parse("198.51.100.9:7000");

// Answers nothing by itself, but remembers the last nonce; calls back into the client where the
// contract allows it.
struct Host : ClientEvents {
  void send(const Endpoint&, Bytes message) override {
    if (message.size() > wire::kMaxMessage || message.size() < wire::kHeaderSize) std::abort();
    Reader reader(message);
    const auto header = wire::Header::read(reader);
    if (header.type == wire::Type::packet) reader.skip(12);
    nonce = reader.u64();
    if (header.type == wire::Type::lookup) position = RingId::read(reader);
    if (header.type == wire::Type::insert || header.type == wire::Type::packet)
      id = Id::read(reader);
  }
  // Makes the message an answer to what was sent last.
  void fit(std::vector<std::uint8_t>& message) const {
    const auto header = wire::Header::parse(message);
    if (!header || message.size() < 12) return;
    Writer writer(MutBytes(message).subspan(4));
    writer.u64(nonce);
    if (header->type == wire::Type::lookup_reply) position.write(writer);
    if (header->type == wire::Type::inserted || header->type == wire::Type::not_present)
      id.write(writer);
  }
  void on_packet(const wire::IdPacket& packet, const Endpoint& node, TimePoint) override {
    client->send_returned(node, packet.tag, packet.kind, packet.payload);
  }
  void on_returned(std::uint8_t kind, Bytes payload, const Endpoint&, TimePoint now) override {
    client->send_by_id(Id{}, kind, payload, now);
  }
  void on_forwarded(std::uint64_t, const wire::Forwarded& forwarded, TimePoint now) override {
    client->send_by_id(forwarded.id, 1, {}, now);
  }
  void on_not_present(std::uint64_t, const Id& absent, TimePoint now) override {
    client->release(absent, now);
  }
  void on_no_label(const Endpoint&, wire::Label, TimePoint now) override {
    client->take_private(now);
  }
  void on_trigger(const Id& changed, TimePoint now) override {
    client->release(changed, now);
    client->path(changed);
  }
  void on_ready(bool, TimePoint now) override { client->network_changed(now); }

  Client* client = nullptr;
  std::uint64_t nonce = 0;
  RingId position;
  Id id;
};

// A client whose one entry node has just answered.
struct Run {
  Run() {
    host.client = &client;
    client.start(now, wall);
    wire::ProbeReply reply;
    reply.nonce = host.nonce;
    reply.observed = kHost;
    reply.contact.key = entry_key->key();
    reply.contact.v4 = kEntry;
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    reply.write(writer, *entry_key);
    client.on_message(kEntry, writer.written(), now, wall);
  }

  ClientOptions options() {
    ClientOptions result;
    result.entries = {{kEntry, entry_key->key()}};
    return result;
  }

  void pass(Duration time) {
    const TimePoint end = now + time;
    for (int calls = 0; client.next_deadline() <= end; ++calls) {
      if (calls > 100'000) std::abort();  // a timer that does not move on
      now = std::max(now, client.next_deadline());
      client.on_timer(now, wall);
    }
    now = end;
  }

  void step(std::uint8_t what, Bytes bytes) {
    const Endpoint* senders[] = {&kEntry, &kOwner, &kStranger, &kHost};
    const Duration times[] = {0s, 50ms, 3s, 45s};
    pass(times[(what >> 3) & 3]);
    std::vector<std::uint8_t> message(bytes.begin(), bytes.end());
    if (what & 4) host.fit(message);
    client.on_message(*senders[what & 3], message, now, wall);
    switch (what >> 5) {
      case 1:
        taken = client.take_private(now);
        break;
      case 2:
        client.release(taken, now);
        break;
      case 3:
        client.send_by_id(taken, 1, bytes.first(bytes.size() / 2), now);
        break;
      case 4:
        client.network_changed(now);
        break;
      case 5:
        wall = 0;
        break;
      case 6:
        client.restore(bytes);
        break;
      case 7:
        client.stop(now);
    }
  }

  void judge() {
    if (client.save().size() > 8192 || client.triggers(now).size() > Client::kMaxTriggers ||
        client.nodes().size() > ClientOptions::kMaxEntries + 4)
      std::abort();
    bool stands = false;
    for (const auto& trigger : client.triggers(now))
      stands = stands || (trigger.use == TriggerStatus::Use::public_id && trigger.stands);
    if (stands != client.ready()) std::abort();
    client.stop(now);
    pass(2s);
    if (!client.stopped()) std::abort();
  }

  SeededRandom random{1};
  std::unique_ptr<Identity> entry_key = Identity::generate(random);
  std::unique_ptr<Identity> identity = Identity::generate(random);
  Log log;
  Host host;
  TimePoint now{10s};
  WallTime wall = 1'700'000'000'000'000'000;
  Client client{*identity, random, log, options(), host};
  Id taken;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Run run;
  Reader reader(Bytes(data, size));
  for (int steps = 0; steps < 32 && reader.left() >= 3; ++steps) {
    const std::uint8_t what = reader.u8();
    const std::size_t length = std::min<std::size_t>(reader.u16(), reader.left());
    run.step(what, reader.bytes(length));
  }
  run.judge();
  return 0;
}
