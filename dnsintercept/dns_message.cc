#include "dnsintercept/dns_message.hh"

namespace i3 {
namespace {

constexpr std::uint16_t kResponse = 0x8000, kAuthoritative = 0x0400, kTruncated = 0x0200,
                        kRecursionAvailable = 0x0080;
constexpr std::uint16_t kKept = 0x7910;  // opcode, RD and CD come back as they were asked
constexpr std::uint16_t kPointer = 0xc000;

std::uint8_t lower(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet + ('a' - 'A')) : octet;
}

// Steps over a record's owner, compressed or not; pointers are not followed.
void skip_name(Reader& reader) {
  while (reader.ok()) {
    const std::uint8_t length = reader.u8();
    if (length == 0) return;
    if (length >= 0xc0) return reader.skip(1);
    if (length > 63) return reader.fail();
    reader.skip(length);
  }
}

void write_owner(Writer& writer, std::size_t offset, std::uint16_t type) {
  writer.u16(static_cast<std::uint16_t>(kPointer | (kDnsHeaderSize + offset)));
  writer.u16(type);
  writer.u16(dns_class::in);
  writer.u32(0);  // TTL
}

void write_soa(Writer& writer, std::size_t zone_offset) {
  constexpr std::string_view kMailbox = "hostmaster";
  const auto zone = static_cast<std::uint16_t>(kPointer | (kDnsHeaderSize + zone_offset));
  write_owner(writer, zone_offset, dns_type::soa);
  writer.u16(static_cast<std::uint16_t>(2 + 1 + kMailbox.size() + 2 + 20));
  writer.u16(zone);
  writer.u8(static_cast<std::uint8_t>(kMailbox.size()));
  writer.bytes(as_bytes(kMailbox));
  writer.u16(zone);
  writer.u32(1);      // serial
  writer.u32(3600);   // refresh
  writer.u32(600);    // retry
  writer.u32(86400);  // expire
  writer.u32(0);      // minimum: a negative answer is not to be cached (RFC 2308 4)
}

struct Counts {
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
};

bool write_records(Writer& writer, const DnsAnswer& answer, Counts& counts) {
  if (answer.a) {
    write_owner(writer, 0, dns_type::a);
    writer.u16(4);
    writer.u32(*answer.a);
    ++counts.answers;
  }
  if (answer.aaaa) {
    write_owner(writer, 0, dns_type::aaaa);
    writer.u16(16);
    writer.bytes(*answer.aaaa);
    ++counts.answers;
  }
  if (!answer.ptr.empty()) {
    std::array<std::uint8_t, kMaxDnsNameSize + 1> name;
    Writer target(name);
    if (!write_dns_name(target, answer.ptr)) return false;
    write_owner(writer, 0, dns_type::ptr);
    writer.u16(static_cast<std::uint16_t>(target.size()));
    writer.bytes(target.written());
    ++counts.answers;
  }
  if (answer.soa) {
    write_soa(writer, answer.zone_offset);
    ++counts.authorities;
  }
  return true;
}

}  // namespace

std::optional<DnsQuestion> parse_question(Bytes message) {
  Reader reader(message);
  DnsQuestion question;
  question.id = reader.u16();
  question.flags = reader.u16();
  const std::uint16_t questions = reader.u16();
  reader.skip(6);
  if (!reader.ok() || questions != 1) return std::nullopt;
  std::size_t size = 0;
  for (std::uint8_t length = 1; length != 0;) {
    length = reader.u8();
    if (!reader.ok() || length > 63) return std::nullopt;
    reader.skip(length);
    size += 1u + length;
    if (size > kMaxDnsNameSize) return std::nullopt;
  }
  question.type = reader.u16();
  question.qclass = reader.u16();
  if (!reader.ok()) return std::nullopt;
  question.wire = message.subspan(kDnsHeaderSize, size + 4);
  return question;
}

std::optional<Edns> parse_edns(Bytes message, const DnsQuestion& question) {
  Reader header(message.subspan(6));
  const unsigned plain = header.u16() + header.u16();
  const unsigned additional = header.u16();
  Reader reader(message.subspan(kDnsHeaderSize + question.wire.size()));
  Edns edns;
  for (unsigned i = 0; i < plain + additional; ++i) {
    const std::size_t before = reader.left();
    skip_name(reader);
    const bool root = before - reader.left() == 1;
    const std::uint16_t type = reader.u16();
    const std::uint16_t size = reader.u16();
    const std::uint32_t extension = reader.u32();
    reader.skip(reader.u16());
    if (!reader.ok()) return std::nullopt;
    if (type != dns_type::opt) continue;
    if (i < plain || edns.present || !root) return std::nullopt;
    edns.present = true;
    edns.udp_size = std::max<std::uint16_t>(size, 512);
    edns.version = static_cast<std::uint8_t>(extension >> 16);
    edns.dnssec_ok = extension & 0x8000;
  }
  if (!reader.complete()) return std::nullopt;
  return edns;
}

std::string_view dns_name_text(Bytes name, std::span<char, kMaxDnsNameText> out) {
  std::size_t used = 0;
  const auto put = [&](unsigned octet) { out[used++] = static_cast<char>(octet); };
  for (std::size_t at = 0; name[at] != 0;) {
    if (at != 0) put('.');
    const std::size_t end = at + 1 + name[at];
    for (++at; at < end; ++at) {
      const std::uint8_t octet = lower(name[at]);
      if (octet == '.' || octet == '\\') {
        put('\\');
        put(octet);
      } else if (octet > ' ' && octet < 0x7f) {
        put(octet);
      } else {
        put('\\');
        put('0' + octet / 100u);
        put('0' + octet / 10u % 10u);
        put('0' + octet % 10u);
      }
    }
  }
  return {out.data(), used};
}

bool write_dns_name(Writer& writer, std::string_view text) {
  std::size_t size = 1;
  while (!text.empty()) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63) return false;
    size += 1 + label.size();
    writer.u8(static_cast<std::uint8_t>(label.size()));
    writer.bytes(as_bytes(label));
    text = dot == text.npos ? std::string_view{} : text.substr(dot + 1);
  }
  writer.u8(0);
  return writer.ok() && size <= kMaxDnsNameSize;
}

void write_dns_opt(Writer& writer, const Edns& edns, Rcode rcode) {
  writer.u8(0);
  writer.u16(dns_type::opt);
  writer.u16(kDnsAnswerSize);
  writer.u8(static_cast<std::uint8_t>(static_cast<unsigned>(rcode) >> 4));
  writer.u8(0);  // the version that we speak
  writer.u16(edns.dnssec_ok ? 0x8000 : 0);
  writer.u16(0);
}

bool same_question(const DnsQuestion& left, const DnsQuestion& right) {
  return left.type == right.type && left.qclass == right.qclass &&
         std::equal(left.wire.begin(), left.wire.end(), right.wire.begin(), right.wire.end(),
                    [](std::uint8_t l, std::uint8_t r) { return lower(l) == lower(r); });
}

std::uint32_t question_hash(const DnsQuestion& question) {
  std::uint32_t hash = 2166136261u;
  for (std::uint8_t octet : question.wire) hash = (hash ^ lower(octet)) * 16777619u;
  return hash ^ hash >> 16;
}

std::size_t write_dns_answer(const DnsQuestion& question, const Edns& edns, const DnsAnswer& answer,
                             std::size_t limit, MutBytes out) {
  const std::size_t opt_size = edns.present ? kDnsOptSize : 0;
  const std::size_t fixed = kDnsHeaderSize + question.wire.size() + opt_size;
  if (out.size() < fixed) return 0;

  const std::size_t room = std::min(limit, out.size());
  Writer records(out.subspan(kDnsHeaderSize + question.wire.size(),
                             room > fixed ? room - fixed : std::size_t{0}));
  Counts counts;
  if (!write_records(records, answer, counts)) return 0;
  const bool truncated = !records.ok();
  if (truncated) counts = {};

  std::uint16_t flags = kResponse | kRecursionAvailable;
  flags |= static_cast<std::uint16_t>(question.flags & kKept);
  flags |= static_cast<std::uint16_t>(static_cast<unsigned>(answer.rcode) & 0xf);
  if (answer.rcode == Rcode::no_error || answer.rcode == Rcode::name_error) flags |= kAuthoritative;
  if (truncated) flags |= kTruncated;

  Writer writer(out);
  writer.u16(question.id);
  writer.u16(flags);
  writer.u16(1);
  writer.u16(counts.answers);
  writer.u16(counts.authorities);
  writer.u16(edns.present ? 1 : 0);
  writer.bytes(question.wire);
  const std::size_t end = writer.size() + (truncated ? 0 : records.size());
  Writer tail(out.subspan(end));
  if (edns.present) write_dns_opt(tail, edns, answer.rcode);
  return end + tail.size();
}

std::size_t write_dns_header_answer(Bytes message, Rcode rcode, MutBytes out) {
  Reader reader(message);
  const std::uint16_t id = reader.u16();
  const std::uint16_t flags = reader.u16();
  if (message.size() < kDnsHeaderSize || flags & kResponse) return 0;
  Writer writer(out);
  writer.u16(id);
  writer.u16(static_cast<std::uint16_t>(kResponse | kRecursionAvailable | (flags & kKept) |
                                        (static_cast<unsigned>(rcode) & 0xf)));
  writer.zeros(8);
  return writer.ok() ? writer.size() : 0;
}

void set_dns_id(MutBytes message, std::uint16_t id) {
  assert(message.size() >= kDnsHeaderSize);
  Writer(message).u16(id);
}

}  // namespace i3
