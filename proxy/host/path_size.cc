#include "proxy/host/path_size.hh"

namespace i3 {
namespace {
// What passed is asked about again after this long, for a route may change below a way.
constexpr Duration kFresh = std::chrono::seconds(60);
}  // namespace

void PathSizes::begin(Peer& peer, std::size_t size, TimePoint now) {
  SizeState& state = peer.size;
  if (changed(peer)) {
    state = {};
    state.direct = peer.direct.active;
    state.by_node = peer.ways.at;
  }
  if (size <= std::max(state.proved, least(peer)) || state.probing != 0 || now < state.again ||
      (!courier_.has_small_way(peer) && !peer.by_stops()))
    return;
  state.too_large = 0;
  if (full(peer) > least(peer)) ask(peer, full(peer), now);
}

void PathSizes::ask(Peer& peer, std::uint16_t size, TimePoint now) {
  SizeState& state = peer.size;
  state.probing = size;
  state.tries = 0;
  state.small_seen = false;
  state.nonce = parts_.random.u64() & ~std::uint64_t{1};
  send(peer, now);
}

// The small one tells a packet that is too large from a way that is dead.
void PathSizes::send(Peer& peer, TimePoint now) {
  SizeState& state = peer.size;
  ++state.tries;
  const Duration wait = std::clamp<Duration>(peer.rtt * 2, kLeastWait, kMostWait);
  state.next = now + wait;
  parts_.peers.schedule(peer, state.next);
  std::vector<std::uint8_t> storage(std::max<std::size_t>(state.probing, wire::SizeProbe::kLeast));
  for (const auto& [nonce, size] : {std::pair{state.nonce, storage.size()},
                                    std::pair{state.nonce | 1, wire::SizeProbe::kLeast}}) {
    Writer writer(MutBytes(storage).first(size));
    wire::SizeProbe{nonce, size}.write(writer);
    courier_.send_control(peer, writer.written(), now);
  }
}

void PathSizes::on_probe(Peer& peer, const wire::SizeProbe& probe, TimePoint now) {
  std::array<std::uint8_t, 16> storage;
  Writer writer(storage);
  wire::SizeSeen{probe.nonce}.write(writer);
  courier_.send_control(peer, writer.written(), now);
}

void PathSizes::on_seen(Peer& peer, std::uint64_t nonce, TimePoint now) {
  SizeState& state = peer.size;
  if (state.probing == 0 || (nonce & ~std::uint64_t{1}) != state.nonce) {
    parts_.verdicts.count(Verdict::unexpected);
  } else if ((nonce & 1) != 0) {
    state.small_seen = true;
  } else {
    passed(peer, now);
  }
}

bool PathSizes::send_in_two(Peer& peer, Bytes packet, TimePoint now) {
  const std::size_t half = packet.size() / 2;
  const std::uint32_t number = peer.next_piece++;
  for (const std::uint8_t part : {std::uint8_t{0}, std::uint8_t{1}}) {
    std::array<std::uint8_t, wire::Piece::kHeader + wire::Piece::kMost> storage;
    Writer writer(storage);
    wire::Piece{number, part, part == 0 ? packet.first(half) : packet.subspan(half)}.write(writer);
    if (!courier_.send_control(peer, writer.written(), now)) return false;
  }
  courier_.note_sent(peer, packet.size(), now);
  return true;
}

// They leave one after the other; where others come between, one is lost as a fragment may be.
std::vector<std::uint8_t> PathSizes::on_piece(Peer& peer, const wire::Piece& piece) {
  HalfPacket& half = peer.half;
  if (half.bytes.empty() || half.number != piece.number || half.part == piece.part) {
    half = {piece.number, piece.part, {piece.bytes.begin(), piece.bytes.end()}};
    return {};
  }
  std::vector<std::uint8_t> whole = std::move(half.bytes);
  half = {};
  whole.insert(piece.part == 0 ? whole.begin() : whole.end(), piece.bytes.begin(),
               piece.bytes.end());
  return whole;
}

void PathSizes::on_timer(Peer& peer, TimePoint now) {
  SizeState& state = peer.size;
  if (now < state.next) return;
  state.next = kNever;
  if (state.probing == 0) return;
  if (changed(peer)) {
    state.probing = 0;  // the next large packet begins anew
  } else if (state.tries < kTries) {
    send(peer, now);
  } else {
    vanished(peer, now);
  }
}

void PathSizes::passed(Peer& peer, TimePoint now) {
  SizeState& state = peer.size;
  state.proved = std::max(state.proved, state.probing);
  next_size(peer, now);
}

void PathSizes::vanished(Peer& peer, TimePoint now) {
  SizeState& state = peer.size;
  if (!state.small_seen) {
    state.probing = 0;
    state.again = now + kPause;
    return;
  }
  state.too_large = state.probing;
  // What is sent while the search goes on must arrive.
  state.limit = std::max(state.proved, least(peer));
  next_size(peer, now);
}

// Halves what lies between the largest size that passed and the smallest that did not.
void PathSizes::next_size(Peer& peer, TimePoint now) {
  SizeState& state = peer.size;
  const std::uint16_t low = std::max(state.proved, least(peer));
  if (state.too_large == 0 || state.too_large - low <= kNear) return finish(peer, now);
  ask(peer, static_cast<std::uint16_t>((low + state.too_large) / 2), now);
}

void PathSizes::finish(Peer& peer, TimePoint now) {
  SizeState& state = peer.size;
  state.probing = 0;
  state.next = kNever;
  const std::uint16_t before = state.limit;
  if (state.too_large == 0) {
    state.limit = 0;
    state.again = now + kFresh;
  } else {
    state.limit = std::max(state.proved, least(peer));
    state.again = now + kAgain;
  }
  state.proved = 0;  // by then a route below may have changed, to smaller as well
  if (state.limit != before || state.limit != 0)
    parts_.log.info("path_size", {{"peer", peer.name}, {"largest", std::to_string(limit(peer))}});
}

}  // namespace i3
