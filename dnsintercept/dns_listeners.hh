// Owns the sockets that questions come in by: UDP, TCP and its connections. What a question means
// is its owner's business.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "dnsintercept/question_table.hh"
#include "overlay/base/log.hh"

namespace i3 {

// Sockets that a privileged parent opened: bound, TCP ones listening. Whoever gets them owns and
// closes them. A UDP socket may be bound to the wildcard: answers leave from the address asked.
struct DnsSockets {
  std::vector<int> udp;
  std::vector<int> tcp;
};

// Single-threaded: construct, use and destroy on the thread that runs `io`. Idle TCP connections
// end after 10 s; when all are taken, the one idle longest goes.
class DnsListeners {
 public:
  struct Callbacks {
    // Borrowed for the call. Who asked over TCP is owed an answer until it gets one, and is not
    // sent away meanwhile: answer() or ignore() each question.
    std::function<void(const DnsClient& client, Bytes message)> question;
    std::function<void(const DnsClient& client)> gone = [](const DnsClient&) {};  // over TCP
  };
  static constexpr std::size_t kMaxConnections = 64;

  // References must outlive it. Callbacks come from the event loop, never from a constructor.
  DnsListeners(boost::asio::io_context& io, const Clock& clock, Log& log, const DnsSockets& sockets,
               Callbacks callbacks, std::size_t max_connections = kMaxConnections);
  ~DnsListeners();
  DnsListeners(const DnsListeners&) = delete;
  DnsListeners& operator=(const DnsListeners&) = delete;

  // Nothing happens when the client is gone.
  void answer(const DnsClient& client, Bytes message);
  // It gets none: over TCP its connection ends, for nobody may hold one by asking nothing.
  void ignore(const DnsClient& client);
  // TCP connections that found no room.
  std::uint64_t refused() const;
  // Afterwards no callback runs any more.
  void stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace i3
