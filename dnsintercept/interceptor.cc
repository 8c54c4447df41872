#include "dnsintercept/interceptor.hh"

namespace i3 {
namespace {

// Mozilla's canary: NXDOMAIN tells a browser to use the host's resolver instead of its own DoH.
constexpr std::string_view kCanary = "use-application-dns.net";

bool ends_with_label(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size()) return name == suffix;
  return name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.';
}

// Where in the name on the wire its last labels, `suffix` as text, begin. `suffix` holds no escape.
std::size_t offset_of_suffix(Bytes wire_name, std::string_view suffix) {
  return wire_name.size() - (suffix.size() + 2);
}

struct ReverseName {
  IpAddress low, high;  // the addresses under the name: equal when it names a single one
  bool exact = false;   // every label is there, and none more
  bool whole = false;   // a single address, perhaps with labels below it ("_dns-sd._udp.1.0.0.10")
};

std::string_view pop_label(std::string_view& name) {
  const std::size_t dot = name.rfind('.');
  const std::string_view label = dot == name.npos ? name : name.substr(dot + 1);
  name = dot == name.npos ? std::string_view{} : name.substr(0, dot);
  return label;
}

std::optional<unsigned> number(std::string_view label, unsigned base, unsigned limit) {
  if (label.empty() || label.size() > 3 || (label.size() > 1 && base == 10 && label[0] == '0'))
    return std::nullopt;
  unsigned value = 0;
  for (char c : label) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                                  : base;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return value < limit ? std::optional(value) : std::nullopt;
}

// "1.0.64.100.in-addr.arpa", "...ip6.arpa", and names above and below one address.
std::optional<ReverseName> parse_reverse(std::string_view name) {
  constexpr std::string_view k4 = ".in-addr.arpa", k6 = ".ip6.arpa";
  const bool four = name.ends_with(k4);
  if (!four && !name.ends_with(k6)) return std::nullopt;
  name.remove_suffix(four ? k4.size() : k6.size());
  ReverseName result;
  result.low = IpAddress::v4(0);
  result.high = IpAddress::v4(~0u);
  if (!four) {
    result.low.bytes.fill(0);
    result.high.bytes.fill(0xff);
  }
  const std::size_t labels = four ? 4 : 32;
  std::size_t known = 0;
  for (; known < labels && !name.empty(); ++known) {
    const auto value = number(pop_label(name), four ? 10 : 16, four ? 256 : 16);
    if (!value) return std::nullopt;
    const std::size_t at = four ? 12 + known : known / 2;
    const unsigned shift = four || known % 2 == 1 ? 0 : 4;
    const unsigned mask = (four ? 0xffu : 0xfu) << shift;
    for (IpAddress* address : {&result.low, &result.high})
      address->bytes[at] =
          static_cast<std::uint8_t>((address->bytes[at] & ~mask) | (*value << shift));
  }
  result.whole = known == labels;
  result.exact = result.whole && name.empty();
  return result;
}

}  // namespace

Interceptor::Interceptor(NameService& names, Random& random, DnsOutput& output,
                         InterceptorSettings settings)
    : names_(names),
      random_(random),
      output_(output),
      settings_(std::move(settings)),
      table_(settings_.retry, 2 * settings_.retry, settings_.give_up, settings_.pending) {}

void Interceptor::set_upstreams(std::vector<Endpoint> servers) {
  if (servers.size() > kMaxUpstreams) servers.resize(kMaxUpstreams);
  upstreams_ = std::move(servers);
  preferred_ = 0;
}

// 1 parse  2 ours, by name or by address?  3 answer, park or forward
void Interceptor::on_question(const DnsClient& client, Bytes message, TimePoint now) {
  ++counters_.questions;
  const auto question = parse_question(message);
  if (!question) {
    ++counters_.malformed;
    std::array<std::uint8_t, kDnsHeaderSize> out;
    if (const std::size_t size = write_dns_header_answer(message, Rcode::format_error, out))
      output_.answer(client, Bytes(out).first(size));
    return;
  }
  if (question->is_response()) {
    ++counters_.malformed;
    return;
  }
  Decision decision{};
  decide(*question, now, decision);
  switch (decision.kind) {
    case Decision::Kind::answer:
      decision.answer.ptr = decision.ptr;
      return reply(client, message, *question, decision.answer);
    case Decision::Kind::park:
      return park(client, message, decision.handle, now);
    case Decision::Kind::forward:
      return forward(client, message, *question, now);
  }
}

std::string_view Interceptor::own_suffix(std::string_view text) const {
  for (const std::string& suffix : settings_.own_suffixes)
    if (ends_with_label(text, suffix)) return suffix;
  return {};
}

void Interceptor::decide(const DnsQuestion& question, TimePoint now, Decision& decision) {
  std::array<char, kMaxDnsNameText> buffer;
  const std::string_view text = dns_name_text(question.name(), buffer);
  const std::string_view own = own_suffix(text);
  const auto reverse = text.ends_with(".arpa") ? parse_reverse(text) : std::nullopt;
  const bool reverse_ours =
      reverse && names_.owns(reverse->low) && (reverse->whole || names_.owns(reverse->high));
  const bool stays = !own.empty() || reverse_ours;

  decision.kind = stays ? Decision::Kind::answer : Decision::Kind::forward;
  decision.answer.soa = true;
  if (!own.empty()) decision.answer.zone_offset = offset_of_suffix(question.name(), own);
  if (question.opcode() != 0) {
    decision.answer = {.rcode = Rcode::not_implemented};
  } else if (question.qclass != dns_class::in && question.qclass != dns_class::any) {
    decision.answer = {.rcode = Rcode::refused};
  } else if (reverse_ours) {
    if (reverse->whole) decide_reverse(reverse->low, reverse->exact, question, decision);
  } else if (text == kCanary) {
    decision.kind = Decision::Kind::answer;
    decision.answer.rcode = Rcode::name_error;
  } else {
    apply(names_.resolve(text, now), question, text, decision);
  }
}

// A name below an address (RFC 6763 11 asks for such) does not exist.
void Interceptor::decide_reverse(const IpAddress& address, bool exact, const DnsQuestion& question,
                                 Decision& decision) {
  auto name = exact ? names_.reverse(address) : std::nullopt;
  if (!name) {
    decision.answer.rcode = Rcode::name_error;
  } else if (question.type == dns_type::ptr || question.type == dns_type::any) {
    decision.ptr = std::move(*name);
    decision.answer.soa = false;
  }
}

void Interceptor::apply(const NameAnswer& name, const DnsQuestion& question, std::string_view text,
                        Decision& decision) const {
  const std::string_view own = own_suffix(text);
  decision.kind = Decision::Kind::answer;
  switch (name.kind) {
    case NameAnswer::Kind::known:
      if (question.type == dns_type::a || question.type == dns_type::any)
        decision.answer.a = name.ipv4;
      if (question.type == dns_type::aaaa || question.type == dns_type::any)
        decision.answer.aaaa = name.ipv6;
      decision.answer.soa = !decision.answer.a && !decision.answer.aaaa;
      return;
    case NameAnswer::Kind::pending:
      decision.kind = Decision::Kind::park;
      decision.handle = name.handle;
      return;
    case NameAnswer::Kind::failed:
      decision.answer.rcode = name.rcode;
      decision.answer.soa = name.rcode == Rcode::no_error || name.rcode == Rcode::name_error;
      return;
    case NameAnswer::Kind::not_ours:
      if (own.empty()) {
        decision.kind = Decision::Kind::forward;
        return;
      }
      [[fallthrough]];
    case NameAnswer::Kind::unknown:
    case NameAnswer::Kind::drop:
      // The suffix itself has names below it, so it exists (RFC 8020).
      decision.answer.rcode = !own.empty() && text == own ? Rcode::no_error : Rcode::name_error;
      return;
  }
}

void Interceptor::reply(const DnsClient& client, Bytes message, const DnsQuestion& question,
                        const DnsAnswer& answer) {
  std::array<std::uint8_t, kDnsAnswerSize> out;
  auto edns = parse_edns(message, question);
  DnsAnswer actual = answer;
  if (!edns) {
    ++counters_.malformed;
    edns.emplace();
    actual = {.rcode = Rcode::format_error};
  } else if (edns->version != 0) {
    actual = {.rcode = Rcode::bad_version};
  }
  const std::size_t limit = client.transport == DnsTransport::udp
                                ? std::min<std::size_t>(edns->udp_size, kDnsAnswerSize)
                                : kMaxDnsMessage;
  std::size_t size = write_dns_answer(question, *edns, actual, limit, out);
  if (size == 0)  // a PTR target that is no name: the service's fault, told to the asker
    size = write_dns_answer(question, *edns, {.rcode = Rcode::server_failure}, limit, out);
  ++counters_.answered;
  output_.answer(client, Bytes(out).first(size));
}

void Interceptor::fail(const WaitingQuestion& waiting, Rcode rcode) {
  std::vector<std::uint8_t> message = waiting.message;
  set_dns_id(message, waiting.client_id);
  if (const auto question = parse_question(message))
    reply(waiting.client, message, *question, {.rcode = rcode});
}

void Interceptor::park(const DnsClient& client, Bytes message, std::uint64_t handle,
                       TimePoint now) {
  WaitingQuestion* waiting =
      table_.parked() < kMaxParkedQuestions ? table_.add(client, message) : nullptr;
  const auto question = parse_question(message);
  if (!waiting) {
    ++counters_.table_full;
    return reply(client, message, *question, {.rcode = Rcode::server_failure});
  }
  ++counters_.parked;
  waiting->handle = handle;
  waiting->client_id = question->id;
  table_.enter(*waiting, WaitPhase::parked, now);
}

void Interceptor::complete(std::uint64_t handle, Rcode rcode) {
  table_.each(WaitPhase::parked, [&](WaitingQuestion& waiting) {
    if (waiting.handle != handle) return;
    fail(waiting, rcode);
    table_.release(waiting);
  });
}

void Interceptor::complete(std::uint64_t handle, const NameAnswer& answer, TimePoint now) {
  if (answer.kind == NameAnswer::Kind::pending) return;
  table_.each(WaitPhase::parked, [&](WaitingQuestion& waiting) {
    if (waiting.handle == handle) answer_parked(waiting, answer, now);
  });
}

void Interceptor::answer_parked(WaitingQuestion& waiting, const NameAnswer& answer, TimePoint now) {
  const std::vector<std::uint8_t> message = waiting.message;
  const DnsClient client = waiting.client;
  table_.release(waiting);
  const auto question = parse_question(message);
  assert(question);  // it was read before it was parked
  std::array<char, kMaxDnsNameText> buffer;
  const std::string_view text = dns_name_text(question->name(), buffer);
  Decision decision{};
  decision.answer.soa = true;
  if (const auto own = own_suffix(text); !own.empty())
    decision.answer.zone_offset = offset_of_suffix(question->name(), own);
  apply(answer, *question, text, decision);
  if (decision.kind == Decision::Kind::forward)
    forward(client, message, *question, now);
  else
    reply(client, message, *question, decision.answer);
}

}  // namespace i3
