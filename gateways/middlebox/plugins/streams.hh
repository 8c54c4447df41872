// Owns TCP streams put together again from copies of packets, as their receiver will see them.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "overlay/base/time.hh"
#include "proxy/packet/ip_packet.hh"

namespace i3::inspect {

struct Ends {
  IpAddress client, server;  // the client is who sent the SYN, or the first packet that was seen
  std::uint16_t client_port = 0, server_port = 0;
  auto operator<=>(const Ends&) const = default;
};

// What a reader of streams keeps of one; made anew for each.
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  // The next bytes of that direction, each byte once and in order. False: nothing more of this
  // stream may pass.
  virtual bool data(bool from_client, Bytes bytes, WallTime wall) = 0;
  virtual void finished(WallTime wall) = 0;
};

// Judges packets so that nothing reaches the receiver that the reader was not shown: bytes that
// came before in another form, or that can be compared with nothing any more, do not pass. Bounded:
// the stream unused for longest gives way, and is then picked up in its middle.
class Streams {
 public:
  static constexpr std::size_t kMaxStreams = 4096;
  static constexpr std::size_t kMaxHistory = 16 * 1024;  // of a direction, to compare repeats with
  static constexpr std::size_t kMaxEarly = 64 * 1024;    // of a direction, ahead of a gap
  static constexpr std::size_t kMaxPieces = 128;

  using Make = std::function<std::unique_ptr<StreamReader>(const Ends& ends, WallTime wall)>;
  explicit Streams(Make make) : make_(std::move(make)) {}

  // One TCP packet, no fragment. False: it may not pass.
  bool packet(const IpView& packet, WallTime wall);
  std::size_t size() const { return streams_.size(); }

 private:
  struct Direction {
    bool known = false;       // `next` is
    std::uint32_t next = 0;   // sequence number of the next byte for the reader
    std::uint32_t acked = 0;  // by the other side; counts once any_ack
    bool any_ack = false;
    bool finished = false;                                     // its FIN was read
    std::deque<std::uint8_t> history;                          // ends at `next`
    std::map<std::uint32_t, std::vector<std::uint8_t>> early;  // by sequence number, apart
    std::size_t early_bytes = 0;
    std::optional<std::uint32_t> fin;  // where its FIN stands
  };
  struct Stream {
    std::unique_ptr<StreamReader> reader;
    Direction from_client, from_server;
    bool condemned = false;
    std::list<Ends>::iterator used;  // in order_
  };

  Stream* find(const IpView& packet, Ends& ends, bool& from_client, WallTime wall);
  void make_room();
  void erase(std::map<Ends, Stream>::iterator stream);
  bool take(Stream& stream, Direction& direction, bool from_client, std::uint32_t sequence,
            Bytes bytes, WallTime wall);
  static bool agrees(const Direction& direction, std::uint32_t sequence, Bytes bytes);
  bool keep_early(Direction& direction, std::uint32_t sequence, Bytes bytes);
  bool deliver(Stream& stream, Direction& direction, bool from_client, Bytes bytes, WallTime wall);

  Make make_;
  std::map<Ends, Stream> streams_;
  std::list<Ends> order_;  // unused for longest first
};

}  // namespace i3::inspect
