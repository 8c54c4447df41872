// Owns the questions that wait for an answer: bounded in number, bytes and time.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "overlay/base/endpoint.hh"
#include "overlay/base/random.hh"
#include "overlay/base/time.hh"

namespace i3 {

enum class DnsTransport : std::uint8_t { udp, tcp };

// Where an answer goes. The interceptor only stores and compares it.
struct DnsClient {
  DnsTransport transport = DnsTransport::udp;
  std::uint32_t socket = 0;  // the driver's number of the UDP socket or of the TCP connection
  Endpoint peer{};
  IpAddress local{};  // the address the question came to, hence the one its answer leaves from
  bool operator==(const DnsClient&) const = default;
};

// One of the sockets to an upstream server. An answer counts only if it arrives on the channel
// that its question left by.
struct DnsChannel {
  DnsTransport transport = DnsTransport::udp;
  // UDP: 0..kUdpChannels-1, drawn by lot for each question, each with a source port of its own.
  // TCP: the client's connection number.
  std::uint32_t number = 0;
  Endpoint server;
  bool operator==(const DnsChannel&) const = default;
};
inline constexpr std::uint32_t kUdpChannels = 8;

inline constexpr std::size_t kMaxWaitingQuestions = 4096;
inline constexpr std::size_t kMaxWaitingBytes = 8u << 20;
inline constexpr std::size_t kMaxParkedQuestions = 512;
inline constexpr std::size_t kMaxUpstreams = 8;

// The phases of a question's life; each has one length, so each is a queue in order of time.
enum class WaitPhase : std::uint8_t {
  asked,
  asked_again,
  last_chance,
  streaming,  // a zone transfer that has begun to arrive
  parked,
  free,
};
inline constexpr std::size_t kWaitPhases = 5;

struct WaitingQuestion {
  DnsClient client;
  std::vector<std::uint8_t> message;  // as sent upstream, that is with `id`
  std::uint16_t id = 0;               // the one that we drew
  std::uint16_t client_id = 0;
  std::uint32_t hash = 0;
  std::uint64_t handle = 0;  // of a parked question
  TimePoint since{};
  WaitPhase phase = WaitPhase::free;
  bool streams = false;    // a zone transfer: many answers to one question
  std::uint8_t asked = 0;  // how many of `channels` are set
  std::uint8_t failed = 0;
  std::uint8_t closed = 0;  // connections that ended under this question without any answer
  std::uint8_t next_server = 0;
  std::array<DnsChannel, kMaxUpstreams + 3> channels{};

 private:
  friend class QuestionTable;
  std::uint32_t slot_ = 0, previous_ = 0, next_ = 0;
  bool has_id_ = false;
};

// References to a WaitingQuestion stay valid until it is released.
class QuestionTable {
 public:
  QuestionTable(Duration asked, Duration asked_again, Duration last_chance, Duration parked);

  // Nothing when the table is full. The question is in no phase yet and has no ID.
  WaitingQuestion* add(const DnsClient& client, Bytes message);
  // Gives it `id`; false if another question has that one.
  bool assign_id(WaitingQuestion& waiting, std::uint16_t id);
  void enter(WaitingQuestion& waiting, WaitPhase phase, TimePoint since);
  void release(WaitingQuestion& waiting);

  WaitingQuestion* find(std::uint16_t id);
  // A question whose phase is over, the earliest; nothing if none is.
  WaitingQuestion* due(TimePoint now);
  TimePoint next_deadline() const;

  std::size_t size() const { return used_; }
  std::size_t parked() const { return parked_; }

  // Calls visit(WaitingQuestion&) for each question in a phase; it may release that one or move
  // it to another phase.
  template <class Visit>
  void each(WaitPhase phase, Visit visit) {
    std::uint32_t at = phases_[static_cast<std::size_t>(phase)].first;
    for (std::uint32_t guard = static_cast<std::uint32_t>(used_); at != kNone && guard > 0;
         --guard) {
      const std::uint32_t next = slots_[at].next_;
      visit(slots_[at]);
      at = next;
    }
  }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  struct Queue {
    Duration length;
    std::uint32_t first = kNone, last = kNone;
  };
  void leave(WaitingQuestion& waiting);

  std::deque<WaitingQuestion> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint16_t> by_id_;  // slot + 1, or 0
  std::array<Queue, kWaitPhases> phases_;
  std::size_t used_ = 0, parked_ = 0, bytes_ = 0;
};

}  // namespace i3
