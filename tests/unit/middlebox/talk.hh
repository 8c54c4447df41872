// A TCP conversation between two hosts, written by libtins: what passes a middle-box.
#pragma once

#include <string>
#include <tins/tins.h>
#include <vector>

#include "proxy/packet/ip_packet.hh"

namespace i3::test {

inline constexpr std::uint64_t kWall = 1'085'568'092'160'498'000;

class Talk {
 public:
  explicit Talk(std::uint16_t port = 21, std::uint16_t from = 33042) : port_(port), from_(from) {}

  std::vector<std::uint8_t> syn() {
    auto bytes = make(true, client_, Tins::TCP::SYN, "");
    ++client_;
    return bytes;
  }
  std::vector<std::uint8_t> syn_ack() {
    auto bytes = make(false, server_, Tins::TCP::SYN | Tins::TCP::ACK, "");
    ++server_;
    return bytes;
  }
  std::vector<std::uint8_t> say(bool from_client, const std::string& text) {
    std::uint32_t& next = from_client ? client_ : server_;
    auto bytes = at(from_client, 0, text);
    next += static_cast<std::uint32_t>(text.size());
    return bytes;
  }
  // So many bytes behind where that side is, without moving it.
  std::vector<std::uint8_t> at(bool from_client, std::int64_t offset, const std::string& text) {
    const std::uint32_t next = from_client ? client_ : server_;
    return make(from_client, static_cast<std::uint32_t>(next + offset), Tins::TCP::ACK, text);
  }
  std::vector<std::uint8_t> fin(bool from_client) {
    std::uint32_t& next = from_client ? client_ : server_;
    return make(from_client, next++, Tins::TCP::FIN | Tins::TCP::ACK, "");
  }
  void skip(bool from_client, std::size_t size) {
    (from_client ? client_ : server_) += static_cast<std::uint32_t>(size);
  }

 private:
  std::vector<std::uint8_t> make(bool from_client, std::uint32_t sequence, int flags,
                                 const std::string& text) {
    Tins::TCP tcp(from_client ? port_ : from_, from_client ? from_ : port_);
    tcp.flags(static_cast<std::uint16_t>(flags));
    tcp.seq(sequence);
    tcp.ack_seq(from_client ? server_ : client_);
    const char* client = "10.1.244.127";
    const char* server = "10.2.51.9";
    Tins::IP ip = Tins::IP(from_client ? server : client, from_client ? client : server) / tcp;
    if (!text.empty()) ip /= Tins::RawPDU(text);
    return ip.serialize();
  }

  std::uint16_t port_, from_;
  std::uint32_t client_ = 0xffffff00, server_ = 77;  // one of them goes round soon
};

}  // namespace i3::test
