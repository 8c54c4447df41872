#include "gateways/relay/relay_box.hh"

#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

// Nodes let so many packets a second through to the box, whoever sends them: what the rate would
// be in packets of 200 bytes, and no fewer than this.
constexpr std::uint64_t kSmallPacket = 200;
constexpr std::uint64_t kLeastPackets = 2000;

std::uint32_t packets_for(const ByteRate& rate) {
  if (rate.per_second == 0) return 0;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(rate.per_second / kSmallPacket, kLeastPackets, 0xffffffff));
}

}  // namespace

RelayBox::RelayBox(Worker& worker, const GatewaySettings& settings)
    : worker_(worker), relay_(worker.host().identity()) {
  apply(settings);
  worker_.host().set_sealed_stop(this);
}

RelayBox::~RelayBox() {
  worker_.host().set_sealed_stop(nullptr);
}

void RelayBox::apply(const GatewaySettings& settings) {
  settings_ = *settings.relay;
  std::vector<RelayClient> clients;
  for (const RelayUser& user : settings_.users)
    clients.push_back({user.key, settings.books.name_of(user.key), user.rate});
  relay_.set(clients, settings_.rate);
}

// All IDs below the prefix lead here: what stands behind it is the pass.
void RelayBox::start() {
  HeldTrigger trigger;
  trigger.owner = worker_.host().key();
  trigger.id = owner_prefix(trigger.owner, kPassSalt);
  trigger.salt = kPassSalt;
  trigger.exact = false;
  trigger.rate_pps = packets_for(settings_.rate);
  worker_.host().client().hold(trigger, worker_.clock().now());
}

void RelayBox::reloaded(const GatewaySettings& settings) {
  if (!settings.relay) return;  // takes effect after a restart
  apply(settings);
  start();
}

void RelayBox::on_sealed(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  const auto onward = relay_.judge(packet, now, worker_.clock().wall());
  if (!onward) return;
  if (worker_.host().client().pass_on(*onward, onward->payload, now))
    relay_.note_source(packet, node, now);
  else
    relay_.not_sent();
}

bool RelayBox::on_cookie(Bytes cookie, TimePoint now) {
  const auto source = relay_.source_of(cookie, now);
  if (!source) return false;
  worker_.host().client().send_returned(source->node, source->tag,
                                        static_cast<std::uint8_t>(SessionKind::cookie), cookie);
  return true;
}

void RelayBox::on_consent_ask(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  const auto answer = relay_.consent(packet, now, worker_.clock().wall());
  if (!answer) return;
  std::array<std::uint8_t, wire::ConsentAnswer::kSize> payload;
  Writer writer(payload);
  answer->write(writer);
  worker_.host().client().send_returned(node, packet.tag, wire::kConsentAnswer, writer.written());
}

void RelayBox::add_status(Json& status) {
  Json clients = Json::array();
  for (const SealedRelay::Client& client : relay_.clients())
    clients.push_back({{"name", client.who.name},
                       {"packets", client.packets},
                       {"bytes", client.bytes},
                       {"over_rate", client.over_rate},
                       {"rate", client.who.rate.per_second * 8}});
  bool stands = false;
  for (const HeldStatus& held : worker_.host().client().held())
    if (held.id == owner_prefix(worker_.host().key(), kPassSalt)) stands = held.at_owner;
  const RelayCounters& counted = relay_.counters();
  const std::uint64_t dropped = counted.no_pass + counted.expired + counted.bad_address +
                                counted.not_sealed + counted.loop + counted.hop_limit +
                                counted.over_rate + counted.over_client_rate + counted.not_sent;
  status["relay"] = {{"reachable", stands},
                     {"rate", settings_.rate.per_second * 8},
                     {"passed", counted.passed},
                     {"passed_bytes", counted.passed_bytes},
                     {"dropped", dropped},
                     {"over_rate", counted.over_rate},
                     {"over_client_rate", counted.over_client_rate},
                     {"no_pass", counted.no_pass},
                     {"expired", counted.expired},
                     {"bad_address", counted.bad_address},
                     {"not_sealed", counted.not_sealed},
                     {"loop", counted.loop},
                     {"hop_limit", counted.hop_limit},
                     {"not_sent", counted.not_sent},
                     {"clients", clients}};
}

void RelayBox::add_metrics(MetricsText& text) {
  const RelayCounters& counted = relay_.counters();
  text.counter("relay_packets_total", "Sealed packets of others, by what became of them.")
      .sample("what", "passed", counted.passed)
      .sample("what", "no_pass", counted.no_pass)
      .sample("what", "expired", counted.expired)
      .sample("what", "bad_address", counted.bad_address)
      .sample("what", "not_sealed", counted.not_sealed)
      .sample("what", "loop", counted.loop)
      .sample("what", "hop_limit", counted.hop_limit)
      .sample("what", "over_rate", counted.over_rate)
      .sample("what", "over_client_rate", counted.over_client_rate)
      .sample("what", "not_sent", counted.not_sent)
      .sample("what", "consents", counted.consents)
      .sample("what", "cookies", counted.cookies);
  text.counter("relay_bytes_total", "Bytes of sealed packets that were passed on.")
      .sample(counted.passed_bytes);
  text.counter("relay_client_bytes_total", "The same by whose pass they had.");
  for (const SealedRelay::Client& client : relay_.clients())
    text.sample("client", client.who.name, client.bytes);
}

}  // namespace i3
