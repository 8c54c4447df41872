// Owns the bytes of DNS as far as the interceptor needs them: reading one question, writing
// answers.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "overlay/base/bytes.hh"

namespace i3 {

inline constexpr std::size_t kDnsHeaderSize = 12;
inline constexpr std::size_t kMaxDnsNameSize = 255;      // on the wire, root label included
inline constexpr std::size_t kMaxDnsNameText = 4 * 255;  // every octet escaped as \DDD
inline constexpr std::size_t kMaxDnsMessage = 65535;
// The largest answer we make ourselves and the UDP size we announce (DNS flag day 2020).
inline constexpr std::size_t kDnsAnswerSize = 1232;

namespace dns_type {
inline constexpr std::uint16_t a = 1, ns = 2, soa = 6, ptr = 12, hinfo = 13, txt = 16, aaaa = 28,
                               opt = 41, tkey = 249, ixfr = 251, axfr = 252, any = 255;
}
namespace dns_class {
inline constexpr std::uint16_t in = 1, any = 255;
}

enum class Rcode : std::uint16_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,  // NXDOMAIN
  not_implemented = 4,
  refused = 5,
  bad_version = 16,  // needs an OPT record (RFC 6891 9)
};

// Header and the one question of a message. `wire` (name, type and class) is borrowed from it.
struct DnsQuestion {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t type = 0;
  std::uint16_t qclass = 0;
  Bytes wire;

  bool is_response() const { return flags & 0x8000; }
  unsigned opcode() const { return flags >> 11 & 0xf; }
  Rcode rcode() const { return static_cast<Rcode>(flags & 0xf); }
  Bytes name() const { return wire.first(wire.size() - 4); }
};

// Header and question, from a query or a response. Nothing when there is not exactly one question,
// its name is over 255 octets or uses compression, or the message is cut off. What follows the
// question is not looked at.
std::optional<DnsQuestion> parse_question(Bytes message);

// What a query says about EDNS (RFC 6891).
struct Edns {
  bool present = false;
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  std::uint16_t udp_size = 512;
};

// Walks the records behind the question of a query. Nothing when they are malformed, go past the
// end, leave bytes over, or hold two OPT records. The walk is bounded by the message's size.
std::optional<Edns> parse_edns(Bytes message, const DnsQuestion& question);

// The name as lower-case text without trailing dot; the root is empty. Octets that are not
// printable, dots inside a label, and backslashes are escaped as in a zone file, so two different
// names never give the same text. `name` must come from a DnsQuestion. The result lives in `out`.
std::string_view dns_name_text(Bytes name, std::span<char, kMaxDnsNameText> out);

// Its inverse for names without escapes: false, with the writer's state undefined, for what is
// none.
bool write_dns_name(Writer& writer, std::string_view text);

// The OPT record of an answer to a query with `edns`: our size and version, the DO bit as it came.
void write_dns_opt(Writer& writer, const Edns& edns, Rcode rcode);
inline constexpr std::size_t kDnsOptSize = 11;

// Equal but for the case of ASCII letters (RFC 4343), type and class included.
bool same_question(const DnsQuestion& left, const DnsQuestion& right);
// The same for questions that are equal by same_question.
std::uint32_t question_hash(const DnsQuestion& question);

// What an answer of ours holds. Every TTL is 0.
struct DnsAnswer {
  Rcode rcode = Rcode::no_error;
  std::optional<std::uint32_t> a{};
  std::optional<std::array<std::uint8_t, 16>> aaaa{};
  std::string_view ptr{};  // a name as text without escapes or trailing dot; empty for none
  bool soa = false;        // in the authority section, minimum 0
  // Where in the question's name the SOA record's owner begins.
  std::size_t zone_offset = 0;
};

// Writes the answer to `question` into `out` and returns its size; 0 if `out` is too small for
// header, question and OPT, or `ptr` is no name. The question comes back bit for bit, letter case
// included; an OPT record only to who sent one. What does not fit `limit` is left out with TC set.
std::size_t write_dns_answer(const DnsQuestion& question, const Edns& edns, const DnsAnswer& answer,
                             std::size_t limit, MutBytes out);

// The answer to a query whose question cannot be read: its header with an empty question section.
// 0 if there is no header or the message is a response.
std::size_t write_dns_header_answer(Bytes message, Rcode rcode, MutBytes out);

// Replaces the ID of a message; `message` holds a header.
void set_dns_id(MutBytes message, std::uint16_t id);

}  // namespace i3
