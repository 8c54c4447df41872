// Owns making questions and reading answers in tests, through libtins: a judge that shares no code
// with the stub.
#pragma once

#include <array>
#include <string>
#include <tins/dns.h>
#include <vector>

#include "overlay/base/bytes.hh"

namespace i3::test {

using Message = std::vector<std::uint8_t>;

struct Opt {
  std::uint16_t size = 1232;
  std::uint8_t version = 0;
  bool dnssec_ok = false;
};

inline Message question(const std::string& name, std::uint16_t type, std::uint16_t id = 0x1234,
                        std::uint16_t qclass = 1) {
  Tins::DNS dns;
  dns.id(id);
  dns.recursion_desired(1);
  dns.add_query({name, Tins::DNS::A, Tins::DNS::IN});
  Message message = dns.serialize();
  // libtins has enumerators for some types and classes only; the others are written over.
  Writer writer(MutBytes(message).last(4));
  writer.u16(type);
  writer.u16(qclass);
  return message;
}

inline Message with_opt(Message message, Opt opt = {}) {
  const std::array<std::uint8_t, 11> record{0,
                                            0,
                                            41,
                                            static_cast<std::uint8_t>(opt.size >> 8),
                                            static_cast<std::uint8_t>(opt.size & 0xff),
                                            0,
                                            opt.version,
                                            static_cast<std::uint8_t>(opt.dnssec_ok ? 0x80 : 0),
                                            0,
                                            0,
                                            0};
  message.insert(message.end(), record.begin(), record.end());
  ++message[11];
  return message;
}

inline Tins::DNS parsed(Bytes message) {
  return Tins::DNS(message.data(), static_cast<std::uint32_t>(message.size()));
}

// What a real server answers to `asked`: its question, one A record of 192.0.2.1 with TTL 300.
inline Message server_answer(Bytes asked, unsigned rcode = 0) {
  Tins::DNS dns = parsed(asked);
  dns.type(Tins::DNS::RESPONSE);
  dns.rcode(static_cast<std::uint8_t>(rcode));
  if (rcode == 0)
    dns.add_answer({dns.queries().front().dname(), "192.0.2.1", Tins::DNS::A, Tins::DNS::IN, 300});
  return dns.serialize();
}

}  // namespace i3::test
