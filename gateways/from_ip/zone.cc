// 1 is it a question  2 to this zone  3 within the limit  4 what the name means  5 records
#include "gateways/from_ip/zone.hh"

#include <algorithm>
#include <cassert>

namespace i3 {
namespace {

constexpr std::uint16_t kResponse = 0x8000, kAuthoritative = 0x0400, kTruncated = 0x0200;
constexpr std::uint16_t kKept = 0x7910;  // opcode, RD and CD; RA is never set
constexpr std::uint16_t kPointer = 0xc000;

// The part of `name` before the zone, empty for the zone itself; nothing for names outside.
std::optional<std::string_view> before_zone(std::string_view name, std::string_view zone) {
  if (name == zone) return std::string_view{};
  if (name.size() <= zone.size() + 1 || !name.ends_with(zone)) return std::nullopt;
  const std::size_t dot = name.size() - zone.size() - 1;
  // A dot inside a label is escaped, and no boundary.
  const std::size_t last = name.find_last_not_of('\\', dot - 1);
  const std::size_t escapes = dot - (last == name.npos ? 0 : last + 1);
  if (name[dot] != '.' || escapes % 2 == 1) return std::nullopt;
  return name.substr(0, dot);
}

}  // namespace

// The records of one answer, behind header and question. Owners are pointers into the question,
// which holds the zone's name whatever is asked.
struct Zone::Reply {
  Writer writer;
  std::uint16_t question_at, zone_at;  // offsets of the names in the message
  Rcode rcode = Rcode::no_error;
  bool authoritative = true, truncated = false;
  std::uint16_t answers = 0, authorities = 0, additional = 0;

  void pointer(std::uint16_t at) { writer.u16(static_cast<std::uint16_t>(kPointer | at)); }
  void head(std::uint16_t type, std::uint32_t ttl, std::size_t size) {
    writer.u16(type);
    writer.u16(dns_class::in);
    writer.u32(ttl);
    writer.u16(static_cast<std::uint16_t>(size));
  }
  void address(const IpAddress& address, std::uint32_t ttl) {
    head(address.is_v4() ? dns_type::a : dns_type::aaaa, ttl, address.is_v4() ? 4 : 16);
    if (address.is_v4())
      writer.u32(address.to_v4());
    else
      writer.bytes(address.bytes);
  }
  void refuse(Rcode why) {
    rcode = why;
    authoritative = false;
  }
};

Zone::Zone(ZoneSettings settings, ZoneNames& names)
    : settings_(std::move(settings)), names_(names) {
  assert(!settings_.zone.empty() && !settings_.servers.empty());
}

std::size_t Zone::answer(const DnsClient& client, Bytes message, TimePoint now, MutBytes out) {
  assert(out.size() >= kDnsAnswerSize);
  ++counters_.questions;
  const auto question = parse_question(message);
  if (!question) {
    ++counters_.malformed;
    const std::size_t size = write_dns_header_answer(message, Rcode::format_error, out);
    if (size > 0) out[3] = static_cast<std::uint8_t>(out[3] & 0x7f);  // recursion is not available
    return size;
  }
  if (question->is_response()) {
    ++counters_.ignored;
    return 0;
  }
  auto verdict = ResponseLimit::Verdict::answer;
  if (client.transport == DnsTransport::udp) verdict = limit_.judge(client.peer.address, now);
  if (verdict == ResponseLimit::Verdict::silence) {
    ++counters_.silenced;
    return 0;
  }

  const auto read = parse_edns(message, *question);
  const Edns edns = read.value_or(Edns{});
  const std::size_t fixed =
      kDnsHeaderSize + question->wire.size() + (edns.present ? kDnsOptSize : 0);
  const std::size_t limit = client.transport == DnsTransport::udp
                                ? std::min<std::size_t>(edns.udp_size, kDnsAnswerSize)
                                : kDnsAnswerSize;
  Reply reply{Writer(out.subspan(kDnsHeaderSize + question->wire.size(),
                                 limit > fixed ? limit - fixed : std::size_t{0})),
              kDnsHeaderSize, 0};
  if (verdict == ResponseLimit::Verdict::cut) {
    ++counters_.limited;
    reply.truncated = true;
  } else if (!read) {
    ++counters_.malformed;
    reply.refuse(Rcode::format_error);
  } else {
    answer_question(client, *question, edns, now, reply);
  }
  return finish(*question, edns, reply, out);
}

// Header, question and OPT around the records. What does not fit is left out, with TC.
std::size_t Zone::finish(const DnsQuestion& question, const Edns& edns, Reply& reply,
                         MutBytes out) {
  if (reply.truncated || !reply.writer.ok()) {
    ++counters_.truncated;
    reply.truncated = true;
    reply.answers = reply.authorities = reply.additional = 0;
  }
  const std::size_t records = reply.truncated ? 0 : reply.writer.size();
  std::uint16_t flags = kResponse | static_cast<std::uint16_t>(question.flags & kKept);
  flags |= static_cast<std::uint16_t>(static_cast<unsigned>(reply.rcode) & 0xf);
  if (reply.authoritative) flags |= kAuthoritative;
  if (reply.truncated) flags |= kTruncated;
  Writer writer(out);
  writer.u16(question.id);
  writer.u16(flags);
  writer.u16(1);
  writer.u16(reply.answers);
  writer.u16(reply.authorities);
  writer.u16(static_cast<std::uint16_t>(reply.additional + (edns.present ? 1 : 0)));
  writer.bytes(question.wire);
  Writer tail(out.subspan(writer.size() + records));
  if (edns.present) write_dns_opt(tail, edns, reply.rcode);
  return writer.size() + records + tail.size();
}

void Zone::answer_question(const DnsClient& client, const DnsQuestion& question, const Edns& edns,
                           TimePoint now, Reply& reply) {
  std::array<char, kMaxDnsNameText> buffer;
  const std::string_view name = dns_name_text(question.name(), buffer);
  const auto before = before_zone(name, settings_.zone);
  if (edns.present && edns.version != 0) return reply.refuse(Rcode::bad_version);
  if (question.opcode() != 0) return reply.refuse(Rcode::not_implemented);
  const bool meta = question.type == dns_type::opt || question.type == 0 ||
                    (question.type >= dns_type::tkey && question.type < dns_type::any);
  if (!before || question.qclass != dns_class::in || meta) {
    ++counters_.refused;
    return reply.refuse(Rcode::refused);
  }
  // The zone's labels are the question's last ones.
  reply.zone_at = static_cast<std::uint16_t>(kDnsHeaderSize + question.name().size() -
                                             (settings_.zone.size() + 2));
  ++counters_.answered;
  if (before->empty()) return answer_zone(client, question, now, reply);
  answer_name(client, question, *before, now, reply);
}

void Zone::answer_zone(const DnsClient& client, const DnsQuestion& question, TimePoint now,
                       Reply& reply) {
  switch (question.type) {
    case dns_type::soa:
      put_soa(reply, false);
      return;
    case dns_type::ns:
      put_servers(reply);
      return;
    default:
      put_meaning(names_.look_up({}, question.type, client, now), question.type, reply);
  }
}

void Zone::answer_name(const DnsClient& client, const DnsQuestion& question,
                       std::string_view before, TimePoint now, Reply& reply) {
  for (const ZoneServer& server : settings_.servers) {
    if (before_zone(server.name, settings_.zone) != before) continue;
    if (question.type == dns_type::any) return put_any(reply);
    for (const IpAddress& address : server.addresses) {
      if (question.type != (address.is_v4() ? dns_type::a : dns_type::aaaa)) continue;
      reply.pointer(reply.question_at);
      reply.address(address, kTtl);
      ++reply.answers;
    }
    if (reply.answers == 0) put_soa(reply, true);
    return;
  }
  ZoneMeaning meaning = names_.look_up(before, question.type, client, now);
  if (meaning.kind == ZoneMeaning::Kind::unknown && above_server(before))
    meaning.kind = ZoneMeaning::Kind::empty;
  if (meaning.kind == ZoneMeaning::Kind::unknown) {
    ++counters_.unknown;
    reply.rcode = Rcode::name_error;
    return put_soa(reply, true);
  }
  put_meaning(meaning, question.type, reply);
}

void Zone::put_meaning(const ZoneMeaning& meaning, std::uint16_t type, Reply& reply) {
  if (meaning.kind == ZoneMeaning::Kind::over_tcp) {
    reply.truncated = true;
    return;
  }
  if (type == dns_type::any) return put_any(reply);
  const auto put = [&](const IpAddress& address) {
    reply.pointer(reply.question_at);
    reply.address(address, 0);
    ++reply.answers;
  };
  if (type == dns_type::a && meaning.ipv4) put(IpAddress::v4(*meaning.ipv4));
  if (type == dns_type::aaaa && meaning.ipv6) put(IpAddress::v6(*meaning.ipv6));
  if (reply.answers == 0) put_soa(reply, true);
}

// RFC 8482 4.2: something that is there, and no more.
void Zone::put_any(Reply& reply) {
  constexpr std::string_view kCpu = "RFC8482";
  reply.pointer(reply.question_at);
  reply.head(dns_type::hinfo, kTtl, 1 + kCpu.size() + 1);
  reply.writer.u8(static_cast<std::uint8_t>(kCpu.size()));
  reply.writer.bytes(as_bytes(kCpu));
  reply.writer.u8(0);
  ++reply.answers;
}

// A name in record data: what is inside the zone ends in a pointer to it.
std::size_t Zone::write_name(Writer& writer, std::string_view name, std::uint16_t zone_at) const {
  const auto before = before_zone(name, settings_.zone);
  const std::size_t start = writer.size();
  if (!before) {
    write_dns_name(writer, name);
  } else {
    std::array<std::uint8_t, kMaxDnsNameSize + 1> labels;
    Writer own(labels);
    if (!before->empty() && write_dns_name(own, *before))
      writer.bytes(own.written().first(own.size() - 1));
    writer.u16(static_cast<std::uint16_t>(kPointer | zone_at));
  }
  return writer.size() - start;
}

void Zone::put_servers(Reply& reply) {
  std::array<std::uint8_t, kMaxDnsNameSize + 3> buffer;
  for (const ZoneServer& server : settings_.servers) {
    Writer name(buffer);
    const std::size_t size = write_name(name, server.name, reply.zone_at);
    reply.pointer(reply.zone_at);
    reply.head(dns_type::ns, kTtl, size);
    reply.writer.bytes(name.written());
    ++reply.answers;
  }
  for (const ZoneServer& server : settings_.servers) {
    if (!before_zone(server.name, settings_.zone)) continue;
    for (const IpAddress& address : server.addresses) {
      // Addresses that do not fit are left out without a word (RFC 2181 9).
      if (reply.writer.left() < kMaxDnsNameSize + 30) return;
      write_name(reply.writer, server.name, reply.zone_at);
      reply.address(address, kTtl);
      ++reply.additional;
    }
  }
}

// The timers are those that a checker asks for; nobody transfers this zone, so the serial stays.
void Zone::put_soa(Reply& reply, bool negative) {
  std::array<std::uint8_t, 2 * (kMaxDnsNameSize + 3)> buffer;
  Writer names(buffer);
  write_name(names, settings_.servers.front().name, reply.zone_at);
  write_name(names, settings_.contact, reply.zone_at);
  reply.pointer(reply.zone_at);
  reply.head(dns_type::soa, negative ? kNegativeTtl : kTtl, names.size() + 20);
  reply.writer.bytes(names.written());
  reply.writer.u32(1);             // serial
  reply.writer.u32(14400);         // refresh
  reply.writer.u32(3600);          // retry
  reply.writer.u32(1209600);       // expire
  reply.writer.u32(kNegativeTtl);  // minimum
  ++(negative ? reply.authorities : reply.answers);
}

bool Zone::above_server(std::string_view before) const {
  return std::any_of(settings_.servers.begin(), settings_.servers.end(),
                     [&](const ZoneServer& server) {
                       const auto own = before_zone(server.name, settings_.zone);
                       return own && own->size() > before.size() + 1 && own->ends_with(before) &&
                              (*own)[own->size() - before.size() - 1] == '.';
                     });
}

}  // namespace i3
