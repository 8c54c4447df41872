#include "overlay/triggers/admission.hh"

namespace i3 {
namespace {

std::array<std::uint8_t, wire::kEndpointSize> endpoint_bytes(const Endpoint& endpoint) {
  std::array<std::uint8_t, wire::kEndpointSize> bytes;
  Writer writer(bytes);
  wire::write_endpoint(writer, endpoint);
  return bytes;
}

std::uint64_t epoch_of(TimePoint now) {
  return static_cast<std::uint64_t>(now.time_since_epoch() / Admission::kCookieEpoch);
}

// Ownership as far as it needs no signature: the ID's first half is the owner's hash; a delegation
// and every consent speak of this ID and have not run out.
bool plausible(const wire::Insert& insert, WallTime wall) {
  if (owner_prefix(insert.owner, insert.salt).ring() != insert.id.ring()) return false;
  if (insert.delegation) {
    const wire::Delegation& delegation = *insert.delegation;
    if (delegation.expiry <= wall || !delegation.covers(insert.id)) return false;
  }
  for (const wire::Consent& consent : insert.stack)
    if (consent.expiry <= wall ||
        owner_prefix(consent.owner, consent.salt).ring() != consent.id.ring())
      return false;
  return true;
}

bool signed_by_all(const wire::Insert& insert, Bytes message, const Endpoint& from, RingId node,
                   WallTime wall) {
  if (!insert.valid_signature(message, from, node)) return false;
  if (insert.delegation && !insert.delegation->valid(insert.owner, wall)) return false;
  for (const wire::Consent& consent : insert.stack)
    if (!consent.valid(insert.id, wall)) return false;
  return true;
}

TriggerSpec spec_of(const wire::Insert& insert, const Endpoint& from) {
  TriggerSpec spec;
  spec.id = insert.id;
  spec.owner = insert.owner;
  spec.member = insert.member();
  spec.exact = insert.exact;
  spec.sequence = insert.sequence;
  spec.observed = from;
  spec.rate_pps = insert.rate_pps;
  spec.lifetime = std::chrono::milliseconds(insert.lifetime_ms);
  if (insert.delegation) spec.not_after = insert.delegation->expiry;
  for (const wire::Consent& consent : insert.stack) {
    spec.stack.push_back(consent.id);
    spec.not_after = std::min(spec.not_after, consent.expiry);
  }
  spec.every_stop = insert.every_stop;
  return spec;
}

wire::Refusal refusal_of(TriggerTable::Put put) {
  switch (put) {
    case TriggerTable::Put::stale:
      return wire::Refusal::stale;
    case TriggerTable::Put::quota:
      return wire::Refusal::quota;
    case TriggerTable::Put::full:
    case TriggerTable::Put::stored:
      break;
  }
  return wire::Refusal::full;
}

}  // namespace

Admission::Admission(TriggerTable& table, Random& random)
    : table_(table), cookie_secret_(random.array<32>()), token_secret_(random.array<32>()) {}

wire::Cookie Admission::cookie_of(const Endpoint& from, const Id& id, std::uint64_t epoch) const {
  std::array<std::uint8_t, 8> number;
  Writer(number).u64(epoch);
  return blake2b<16>("i3 cookie", {endpoint_bytes(from), Bytes(id.bytes).first(16), number},
                     cookie_secret_);
}

wire::Cookie Admission::cookie(const Endpoint& from, const Id& id, TimePoint now) const {
  return cookie_of(from, id, epoch_of(now));
}

bool Admission::valid_cookie(const wire::Cookie& cookie, const Id& id, const Endpoint& from,
                             TimePoint now) const {
  const std::uint64_t epoch = epoch_of(now);
  return equal_constant_time(cookie_of(from, id, epoch), cookie) ||
         (epoch > 0 && equal_constant_time(cookie_of(from, id, epoch - 1), cookie));
}

std::array<std::uint8_t, 16> Admission::token_of(const Endpoint& from, const PublicKey& owner,
                                                 const PublicKey& member,
                                                 std::uint32_t step) const {
  std::array<std::uint8_t, 16> token;
  Writer writer(token);
  writer.u32(step);
  writer.bytes(blake2b<12>("i3 refresh token",
                           {Bytes(token).first(4), endpoint_bytes(from), owner.bytes, member.bytes},
                           token_secret_));
  return token;
}

std::array<std::uint8_t, 16> Admission::token(const Endpoint& from, const PublicKey& owner,
                                              const PublicKey& member, TimePoint now) const {
  return token_of(from, owner, member,
                  static_cast<std::uint32_t>(now.time_since_epoch() / kTokenStep));
}

std::optional<TimePoint> Admission::granted(const wire::Refresh& refresh, const Endpoint& from,
                                            TimePoint now) const {
  const std::uint32_t step = Reader(refresh.token).u32();
  const TimePoint at{step * kTokenStep};
  if (at > now ||
      !equal_constant_time(token_of(from, refresh.owner, refresh.member, step), refresh.token))
    return std::nullopt;
  return at;
}

Admission::Answer Admission::insert(const wire::Insert& insert, Bytes message, const Endpoint& from,
                                    RingId node, bool as_owner, TimePoint now, WallTime wall,
                                    const std::function<bool()>& may_verify) {
  if (!insert.proof || !valid_cookie(insert.cookie, insert.id, from, now))
    return Challenge{cookie(from, insert.id, now)};
  if (!plausible(insert, wall)) return Refused{wire::Refusal::bad_proof};
  TriggerSpec spec = spec_of(insert, from);
  spec.as_owner = as_owner;
  if (!insert.remove) {
    const TriggerTable::Put put = table_.admissible(spec, now);
    if (put != TriggerTable::Put::stored) return Refused{refusal_of(put)};
  }
  if (!may_verify()) return Silence{};
  if (!signed_by_all(insert, message, from, node, wall)) return Refused{wire::Refusal::bad_proof};
  if (insert.remove) {
    const TriggerTable::Put put = table_.remove(spec, now);
    if (put != TriggerTable::Put::stored) return Refused{refusal_of(put)};
    return Inserted{};
  }
  const TriggerTable::Stored stored = table_.put(spec, now, wall);
  if (stored.result != TriggerTable::Put::stored) return Refused{refusal_of(stored.result)};
  return Inserted{stored.label, stored.lifetime, token(from, spec.owner, spec.member, now)};
}

}  // namespace i3
