// Owns lines of what was said over HTTP and FTP, in the form of the paper's Figure 10 (seed
// 001, 6.4).
#pragma once

#include "gateways/middlebox/plugins/streams.hh"

namespace i3::inspect {

// #N a connection to an FTP server (port 21) with its commands and what became of them, %N a
// connection in which a client speaks HTTP/1, on any port. Passwords are not shown.
class ProtocolLog {
 public:
  using Line = std::function<void(const std::string& line)>;
  explicit ProtocolLog(Line line);

  bool packet(const IpView& packet, WallTime wall) { return streams_.packet(packet, wall); }

 private:
  Line line_;
  std::uint64_t ftp_ = 0, http_ = 0;
  Streams streams_;
};

// Seconds and microseconds, as captures have them.
std::string time_text(WallTime wall);
// Without what could move a terminal's cursor or begin a line.
std::string printable(std::string_view text);

}  // namespace i3::inspect
