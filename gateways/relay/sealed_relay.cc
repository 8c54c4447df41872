#include "gateways/relay/sealed_relay.hh"

#include <algorithm>

#include "overlay/wire/middlebox.hh"

namespace i3 {
namespace {

// A bucket that lets everything pass: more than any machine sends.
constexpr double kUnbounded = 1e15;

TokenBucket bucket_of(const ByteRate& rate) {
  if (rate.per_second == 0) return {kUnbounded, kUnbounded};
  return {static_cast<double>(rate.per_second), static_cast<double>(rate.burst)};
}

constexpr std::uint8_t kFirstMessage = 1, kSecondMessage = 2, kLastSessionKind = 3;

}  // namespace

void SealedRelay::set(const std::vector<RelayClient>& clients, const ByteRate& all) {
  std::vector<Client> kept;
  for (const RelayClient& who : clients) {
    const auto known = std::find_if(clients_.begin(), clients_.end(),
                                    [&](const Client& one) { return one.who.key == who.key; });
    if (known != clients_.end()) {
      Client client = *known;
      if (client.who.rate != who.rate) client.bucket = bucket_of(who.rate);
      client.who = who;
      kept.push_back(std::move(client));
    } else if (const auto key = wire::pass_key(box_, who.key)) {
      kept.push_back({who, *key, bucket_of(who.rate)});
    }
  }
  clients_ = std::move(kept);
  if (!all_ || all_rate_ != all) all_ = bucket_of(all);
  all_rate_ = all;
  passes_.clear();
  hours_.clear();
}

void SealedRelay::know_hour(std::uint32_t hour, WallTime wall) {
  std::erase_if(hours_, [&](std::uint32_t one) { return !wire::pass_is_timely(one, wall); });
  std::erase_if(passes_, [&](const auto& one) { return !hours_.contains(one.first.hour); });
  hours_.insert(hour);
  for (std::size_t i = 0; i < clients_.size(); ++i)
    for (const auto use : {wire::Pass::Use::out, wire::Pass::Use::in})
      passes_.emplace(wire::Pass::issue(use, hour, clients_[i].key), i);
}

SealedRelay::Client* SealedRelay::client_of(const wire::Pass& pass, WallTime wall) {
  if (!hours_.contains(pass.hour)) know_hour(pass.hour, wall);
  const auto found = passes_.find(pass);
  return found == passes_.end() ? nullptr : &clients_[found->second];
}

// 1 a message of a session  2 whose pass is good, and where it leads  3 how much there may be; once
// more where the next stop is this box again, since both ends may want it
std::optional<wire::IdPacket> SealedRelay::judge(const wire::IdPacket& packet, TimePoint now,
                                                 WallTime wall) {
  const auto drop = [](std::uint64_t& counter) {
    ++counter;
    return std::nullopt;
  };
  if (packet.kind > kLastSessionKind || packet.id_count < 2) return drop(counters_.not_sealed);
  wire::IdPacket onward = packet;
  const RingId here = packet.target().ring();
  std::size_t size = 0;
  for (;;) {
    const auto pass = wire::Pass::parse(onward.target());
    if (!pass) return drop(counters_.no_pass);
    if (!wire::pass_is_timely(pass->hour, wall)) return drop(counters_.expired);
    Client* client = client_of(*pass, wall);
    if (client == nullptr) return drop(counters_.no_pass);
    if (onward.hop_limit <= 1) return drop(counters_.hop_limit);
    if (pass->use == wire::Pass::Use::in) {
      const auto address = onward.id_count == 2 ? wire::Inward::open(onward.ids[1], client->who.key,
                                                                     pass->hour, client->key)
                                                : std::nullopt;
      if (!address) return drop(counters_.bad_address);
      onward.ids[1] = *address;
    }
    size = wire::id_packet_size(onward.id_count - 1) + onward.payload.size();
    if (!client->bucket.take(now, static_cast<double>(size))) {
      ++client->over_rate;
      return drop(counters_.over_client_rate);
    }
    ++client->packets;
    client->bytes += size;
    if (onward.ids[1].ring() != here) break;
    if (onward.id_count == 2) return drop(counters_.loop);
    std::copy(onward.ids.begin() + 1, onward.ids.end(), onward.ids.begin());
    --onward.id_count;
    --onward.hop_limit;
  }
  if (!all_ || !all_->take(now, static_cast<double>(size))) return drop(counters_.over_rate);
  onward.copies = 1;
  onward.flags = wire::IdPacket::kEveryStop;
  ++counters_.passed;
  counters_.passed_bytes += size;
  return onward;
}

void SealedRelay::note_source(const wire::IdPacket& packet, const Endpoint& node, TimePoint now) {
  const bool handshake = packet.kind == kFirstMessage || packet.kind == kSecondMessage;
  if (!handshake || packet.payload.size() < 4) return;
  while (!by_age_.empty() &&
         (by_age_.size() >= kMaxSources || now >= by_age_.front().second + kSourceKept)) {
    const auto kept = sources_.find(by_age_.front().first);
    if (kept != sources_.end() && kept->second.at == by_age_.front().second) sources_.erase(kept);
    by_age_.pop_front();
  }
  const std::uint32_t index = Reader(packet.payload).u32();
  sources_[index] = {{node, packet.tag}, now};
  by_age_.emplace_back(index, now);
}

std::optional<SealedRelay::Source> SealedRelay::source_of(Bytes cookie, TimePoint now) {
  if (cookie.size() < 4) return std::nullopt;
  const auto kept = sources_.find(Reader(cookie).u32());
  if (kept == sources_.end() || now >= kept->second.at + kSourceKept) return std::nullopt;
  ++counters_.cookies;
  return kept->second.source;
}

std::optional<wire::ConsentAnswer> SealedRelay::consent(const wire::IdPacket& packet, TimePoint now,
                                                        WallTime wall) {
  const auto ask = packet.kind == wire::kConsentAsk && packet.id_count == 1
                       ? wire::ConsentAsk::parse(packet.payload)
                       : std::nullopt;
  if (!ask) return ++counters_.not_sealed, std::nullopt;
  const auto pass = wire::Pass::parse(packet.target());
  const bool timely = pass && wire::pass_is_timely(pass->hour, wall);
  const Client* client =
      timely && pass->use == wire::Pass::Use::out ? client_of(*pass, wall) : nullptr;
  if (client == nullptr) return ++counters_.no_pass, std::nullopt;
  if (!signatures_.take(now)) return ++counters_.over_rate, std::nullopt;
  ++counters_.consents;
  const Id source = owner_prefix(client->who.key, ask->salt);
  return wire::ConsentAnswer{ask->nonce,
                             wire::Consent::issue(box_, packet.target(), kPassSalt, source,
                                                  std::uint64_t{pass->hour} * wire::kHourNs)};
}

}  // namespace i3
