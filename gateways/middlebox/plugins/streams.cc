#include "gateways/middlebox/plugins/streams.hh"

#include <algorithm>

namespace i3::inspect {
namespace {

// Sequence numbers go round (RFC 9293, 3.4).
std::int32_t distance(std::uint32_t from, std::uint32_t to) {
  return static_cast<std::int32_t>(to - from);
}

std::uint32_t sequence_of(const IpView& packet) {
  return Reader(packet.transport().subspan(4)).u32();
}
std::uint32_t acknowledged_by(const IpView& packet) {
  return Reader(packet.transport().subspan(8)).u32();
}
std::size_t header_size(const IpView& packet) {
  return std::size_t{packet.transport()[12]} / 16 * 4;
}

}  // namespace

// 1 which stream  2 what the other side has  3 new bytes in order  4 its end
bool Streams::packet(const IpView& packet, WallTime wall) {
  const Bytes transport = packet.transport();
  if (transport.size() < 20 || header_size(packet) < 20 || header_size(packet) > transport.size())
    return false;
  Ends ends;
  bool from_client = true;
  Stream* stream = find(packet, ends, from_client, wall);
  order_.splice(order_.end(), order_, stream->used);
  if (stream->condemned) return false;
  Direction& there = from_client ? stream->from_client : stream->from_server;
  Direction& back = from_client ? stream->from_server : stream->from_client;
  const std::uint8_t flags = packet.tcp_flags();
  std::uint32_t sequence = sequence_of(packet);
  if ((flags & tcp_flag::kSyn) != 0) {
    ++sequence;
    // Another start than the one that was seen would move what the reader has read.
    if (there.known && there.next != sequence && !there.history.empty()) return false;
    if (!there.known || there.next != sequence) {
      // What waits was placed by another start.
      there.early.clear();
      there.early_bytes = 0;
      there.fin.reset();
      there.next = sequence;
    }
    there.known = true;
  } else if (!there.known) {
    there.known = true;
    there.next = sequence;
  }
  if ((flags & tcp_flag::kAck) != 0) {
    const std::uint32_t ack = acknowledged_by(packet);
    if (back.known && (!back.any_ack || distance(back.acked, ack) > 0) &&
        distance(ack, back.next) >= -1)
      back.acked = ack, back.any_ack = true;
  }
  if ((flags & tcp_flag::kRst) != 0) {
    // A receiver minds only one that stands where it reads.
    if (sequence == there.next) {
      stream->reader->finished(wall);
      erase(streams_.find(ends));
    }
    return true;
  }
  const Bytes bytes = transport.subspan(header_size(packet));
  if ((flags & tcp_flag::kFin) != 0)
    there.fin = sequence + static_cast<std::uint32_t>(bytes.size());
  if (!take(*stream, there, from_client, sequence, bytes, wall)) {
    // What is wrong once is not mended by what follows, unless there was merely no room.
    return false;
  }
  there.finished = there.finished || (there.fin && *there.fin == there.next);
  if (stream->from_client.finished && stream->from_server.finished) {
    stream->reader->finished(wall);
    erase(streams_.find(ends));
  }
  return true;
}

Streams::Stream* Streams::find(const IpView& packet, Ends& ends, bool& from_client, WallTime wall) {
  const Ends forth{packet.source(), packet.destination(), packet.source_port(),
                   packet.destination_port()};
  const Ends back{forth.server, forth.client, forth.server_port, forth.client_port};
  const bool opens = (packet.tcp_flags() & (tcp_flag::kSyn | tcp_flag::kAck)) == tcp_flag::kSyn;
  for (const bool forward : {true, false}) {
    const auto found = streams_.find(forward ? forth : back);
    if (found == streams_.end()) continue;
    const bool over = found->second.from_client.finished || found->second.from_server.finished;
    if (opens && over) {  // the same ports once more
      found->second.reader->finished(wall);
      erase(found);
      break;
    }
    ends = found->first;
    from_client = forward;
    return &found->second;
  }
  // Without its beginning the lower port is taken for the server's.
  const bool answers = (packet.tcp_flags() & tcp_flag::kSyn) != 0 && !opens;
  from_client = opens || (!answers && forth.client_port >= forth.server_port);
  ends = from_client ? forth : back;
  make_room();
  Stream& stream = streams_[ends];
  stream.reader = make_(ends, wall);
  stream.used = order_.insert(order_.end(), ends);
  return &stream;
}

void Streams::make_room() {
  if (streams_.size() >= kMaxStreams) erase(streams_.find(order_.front()));
}

void Streams::erase(std::map<Ends, Stream>::iterator stream) {
  order_.erase(stream->second.used);
  streams_.erase(stream);
}

bool Streams::take(Stream& stream, Direction& direction, bool from_client, std::uint32_t sequence,
                   Bytes bytes, WallTime wall) {
  if (bytes.empty()) return true;
  const std::int32_t ahead = distance(direction.next, sequence);
  if (ahead > 0) return keep_early(direction, sequence, bytes);
  if (ahead < 0) {
    const auto again = std::min<std::size_t>(
        static_cast<std::size_t>(-static_cast<std::int64_t>(ahead)), bytes.size());
    if (!agrees(direction, sequence, bytes.first(again))) return false;
    bytes = bytes.subspan(again);
    if (bytes.empty()) return true;
  }
  // What waits ahead has to agree with what comes now.
  for (const auto& [at, piece] : direction.early) {
    const std::int32_t offset = distance(direction.next, at);
    if (offset < 0) return false;  // behind what was read: of no use to anybody
    if (offset >= static_cast<std::int64_t>(bytes.size())) continue;
    const auto begin = static_cast<std::size_t>(offset);
    const std::size_t shared = std::min(bytes.size() - begin, piece.size());
    if (!std::equal(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(shared),
                    bytes.begin() + static_cast<std::ptrdiff_t>(begin)))
      return false;
  }
  if (!deliver(stream, direction, from_client, bytes, wall)) return false;
  for (auto piece = direction.early.begin(); piece != direction.early.end();) {
    const std::int32_t offset = distance(piece->first, direction.next);
    if (offset < 0) {
      ++piece;
      continue;
    }
    const std::vector<std::uint8_t> held = std::move(piece->second);
    direction.early_bytes -= held.size();
    direction.early.erase(piece);
    if (static_cast<std::size_t>(offset) < held.size() &&
        !deliver(stream, direction, from_client,
                 Bytes(held).subspan(static_cast<std::size_t>(offset)), wall))
      return false;
    piece = direction.early.begin();
  }
  return true;
}

// Bytes from before `next`: they pass if they are those that were read, or if the receiver has
// them.
bool Streams::agrees(const Direction& direction, std::uint32_t sequence, Bytes bytes) {
  const std::size_t back = direction.next - sequence;
  std::size_t unknown = back > direction.history.size() ? back - direction.history.size() : 0;
  unknown = std::min(unknown, bytes.size());
  if (unknown > 0) {
    const std::uint32_t end = sequence + static_cast<std::uint32_t>(unknown);
    if (!direction.any_ack || distance(end, direction.acked) < 0) return false;
  }
  const std::size_t start = direction.history.size() + unknown - back;
  for (std::size_t i = unknown; i < bytes.size(); ++i)
    if (direction.history[start + i - unknown] != bytes[i]) return false;
  return true;
}

bool Streams::keep_early(Direction& direction, std::uint32_t sequence, Bytes bytes) {
  const auto known = direction.early.find(sequence);
  if (known != direction.early.end()) {
    const std::size_t shared = std::min(known->second.size(), bytes.size());
    if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(shared),
                    known->second.begin()))
      return false;
    if (bytes.size() <= known->second.size()) return true;
    bytes = bytes.subspan(shared);
    sequence += static_cast<std::uint32_t>(shared);
    return keep_early(direction, sequence, bytes);
  }
  // Overlaps that do not begin alike are rare: the sender repeats them when the gap is filled.
  for (const auto& [at, piece] : direction.early) {
    const bool apart = distance(at + static_cast<std::uint32_t>(piece.size()), sequence) >= 0 ||
                       distance(sequence + static_cast<std::uint32_t>(bytes.size()), at) >= 0;
    if (!apart) return false;
  }
  if (direction.early.size() >= kMaxPieces || direction.early_bytes + bytes.size() > kMaxEarly)
    return false;
  direction.early_bytes += bytes.size();
  direction.early[sequence].assign(bytes.begin(), bytes.end());
  return true;
}

bool Streams::deliver(Stream& stream, Direction& direction, bool from_client, Bytes bytes,
                      WallTime wall) {
  if (!stream.reader->data(from_client, bytes, wall)) {
    stream.condemned = true;
    return false;
  }
  direction.next += static_cast<std::uint32_t>(bytes.size());
  direction.history.insert(direction.history.end(), bytes.begin(), bytes.end());
  if (direction.history.size() > kMaxHistory)
    direction.history.erase(direction.history.begin(),
                            direction.history.end() - static_cast<std::ptrdiff_t>(kMaxHistory));
  return true;
}

}  // namespace i3::inspect
