#include "dnsintercept/dns_message.hh"

#include <doctest/doctest.h>

#include "questions.hh"

using namespace i3;
using namespace i3::test;

namespace {

// The answer to `asked`, written and read again by libtins.
struct Written {
  Message bytes;
  Tins::DNS dns;
};
Written write(const Message& asked, const DnsAnswer& answer, std::size_t limit = 1232) {
  const auto question = parse_question(asked);
  REQUIRE(question);
  const auto edns = parse_edns(asked, *question);
  REQUIRE(edns);
  Message out(2048);
  out.resize(write_dns_answer(*question, *edns, answer, limit, out));
  REQUIRE(out.size() > 0);
  return {out, parsed(out)};
}

std::string text_of(const std::string& name) {
  const Message message = question(name, 1);
  std::array<char, kMaxDnsNameText> buffer;
  return std::string(dns_name_text(parse_question(message)->name(), buffer));
}

Message with_name(std::initializer_list<int> name) {
  Message message{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  for (int octet : name) message.push_back(static_cast<std::uint8_t>(octet));
  message.insert(message.end(), {0, 1, 0, 1});
  return message;
}

}  // namespace

TEST_CASE("a question's fields are what libtins wrote") {
  const Message message = question("Web.I3", 28, 0xbeef);
  const auto parsed_question = parse_question(message);
  REQUIRE(parsed_question);
  CHECK(parsed_question->id == 0xbeef);
  CHECK(parsed_question->type == 28);
  CHECK(parsed_question->qclass == 1);
  CHECK(parsed_question->opcode() == 0);
  CHECK_FALSE(parsed_question->is_response());
  CHECK(text_of("Web.I3") == "web.i3");
}

TEST_CASE("no cut-off question is read") {
  const Message whole = question("a.name.of.some.length.i3", 1);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(parse_question(Bytes(whole).first(size)));
  CHECK(parse_question(whole));
}

TEST_CASE("a compressed or endless name, none or two questions are refused") {
  CHECK(parse_question(with_name({1, 'a', 0})));
  CHECK_FALSE(parse_question(with_name({0xc0, 12})));
  CHECK_FALSE(parse_question(with_name({1, 'a', 0xc0, 12})));
  CHECK_FALSE(parse_question(with_name({0x41, 'a', 0})));
  for (int count : {0, 2}) {
    Message message = question("web.i3", 1);
    message[5] = static_cast<std::uint8_t>(count);
    CHECK_FALSE(parse_question(message));
  }
}

TEST_CASE("a name of 255 octets is read and one of 256 is not") {
  for (std::size_t last : {61u, 62u}) {  // 3 * 64 + (last + 1) + 1
    Message message{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    for (std::size_t size : {std::size_t{63}, std::size_t{63}, std::size_t{63}, last}) {
      message.push_back(static_cast<std::uint8_t>(size));
      message.insert(message.end(), size, 'x');
    }
    message.insert(message.end(), {0, 0, 1, 0, 1});
    CHECK(parse_question(message).has_value() == (last == 61));
  }
}

TEST_CASE("different names never give the same text") {
  std::array<char, kMaxDnsNameText> buffer;
  const auto text = [&](const Message& message) {
    return std::string(dns_name_text(parse_question(message)->name(), buffer));
  };
  CHECK(text(with_name({1, 'a', 1, 'b', 0})) == "a.b");
  CHECK(text(with_name({3, 'a', '.', 'b', 0})) == "a\\.b");
  CHECK(text(with_name({3, 'a', 0, 'B', 0})) == "a\\000b");
  CHECK(text(with_name({2, '\\', 0xff, 0})) == "\\\\\\255");
  CHECK(text(with_name({0})) == "");
}

TEST_CASE("A and AAAA answers have TTL 0 and keep the letters of the question") {
  const Message asked = question("wEb.I3", 255);
  const auto [bytes, dns] =
      write(asked, {.a = 0x64400001u, .aaaa = std::array<std::uint8_t, 16>{0xfd, 1, 2, 3}});
  CHECK(dns.id() == 0x1234);
  CHECK(dns.type() == Tins::DNS::RESPONSE);
  CHECK(dns.authoritative_answer() == 1);
  CHECK(dns.recursion_desired() == 1);
  CHECK(dns.recursion_available() == 1);
  CHECK(dns.rcode() == 0);
  REQUIRE(dns.queries().size() == 1);
  CHECK(dns.queries().front().dname() == "wEb.I3");
  const auto answers = dns.answers();
  REQUIRE(answers.size() == 2);
  CHECK(answers.front().data() == "100.64.0.1");
  CHECK(answers.front().dname() == "wEb.I3");
  CHECK(answers.front().ttl() == 0);
  CHECK(answers.back().query_type() == Tins::DNS::AAAA);
  CHECK(answers.back().data() == "fd01:203::");
  CHECK(answers.back().ttl() == 0);
}

TEST_CASE("a PTR answer names the host") {
  const auto [bytes, dns] = write(question("1.0.64.100.in-addr.arpa", 12), {.ptr = "web.i3"});
  REQUIRE(dns.answers_count() == 1);
  CHECK(dns.answers().front().query_type() == Tins::DNS::PTR);
  CHECK(dns.answers().front().data() == "web.i3");
  CHECK(dns.answers().front().ttl() == 0);
}

TEST_CASE("a PTR target that is no name is not written") {
  const Message asked = question("1.0.64.100.in-addr.arpa", 12);
  Message out(1024);
  for (const std::string& bad :
       {std::string("a..b"), std::string(64, 'x') + ".i3", std::string(".")})
    CHECK(write_dns_answer(*parse_question(asked), {}, {.ptr = bad}, 1232, out) == 0);
}

TEST_CASE("negative answers carry an SOA of the zone with minimum 0") {
  for (Rcode rcode : {Rcode::no_error, Rcode::name_error}) {
    const auto [bytes, dns] =
        write(question("no.Such.I3", 1), {.rcode = rcode, .soa = true, .zone_offset = 8});
    CHECK(dns.rcode() == static_cast<unsigned>(rcode));
    CHECK(dns.answers_count() == 0);
    REQUIRE(dns.authority_count() == 1);
    const auto record = dns.authority().front();
    CHECK(record.query_type() == Tins::DNS::SOA);
    CHECK(record.dname() == "I3");
    CHECK(record.ttl() == 0);
    CHECK(Tins::DNS::soa_record(record).minimum_ttl() == 0);
    CHECK(Tins::DNS::soa_record(record).rname() == "hostmaster.I3");
  }
}

TEST_CASE("errors carry their code and nothing else") {
  for (Rcode rcode : {Rcode::server_failure, Rcode::refused, Rcode::not_implemented}) {
    const auto [bytes, dns] = write(question("x.example", 1), {.rcode = rcode});
    CHECK(dns.rcode() == static_cast<unsigned>(rcode));
    CHECK(dns.authoritative_answer() == 0);
    CHECK(dns.answers_count() + dns.authority_count() + dns.additional_count() == 0);
  }
}

TEST_CASE("an OPT record comes back only to who sent one, and BADVERS spans both code fields") {
  CHECK(write(question("web.i3", 1), {.a = 1u}).dns.additional_count() == 0);
  const auto plain = write(with_opt(question("web.i3", 1), {.dnssec_ok = true}), {.a = 1u});
  CHECK(plain.dns.additional_count() == 1);
  const Bytes opt = Bytes(plain.bytes).last(11);
  CHECK(opt[2] == 41);
  CHECK(opt[5] == 0);              // extended code
  CHECK((opt[7] & 0x80) == 0x80);  // DO as asked, RFC 3225
  const auto bad =
      write(with_opt(question("web.i3", 1), {.version = 1}), {.rcode = Rcode::bad_version});
  CHECK(bad.dns.rcode() == 0);
  CHECK(Bytes(bad.bytes).last(11)[5] == 1);
  CHECK(Bytes(bad.bytes).last(11)[6] == 0);
}

TEST_CASE("what does not fit the asker's size is truncated, question kept") {
  const std::string name = std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                           std::string(63, 'c') + "." + std::string(50, 'd');
  const Message asked = with_opt(question(name, 12));
  const auto full = write(asked, {.ptr = name});
  CHECK(full.dns.truncated() == 0);
  CHECK(full.bytes.size() > 512);
  const auto cut = write(asked, {.ptr = name}, 512);
  CHECK(cut.dns.truncated() == 1);
  CHECK(cut.bytes.size() <= 512);
  CHECK(cut.dns.answers_count() == 0);
  CHECK(cut.dns.additional_count() == 1);
  CHECK(cut.dns.queries().front().dname() == name);
}

TEST_CASE("EDNS of a query: size, version, and what is malformed") {
  const auto edns = [](const Message& message) {
    return parse_edns(message, *parse_question(message));
  };
  CHECK_FALSE(edns(question("web.i3", 1))->present);
  CHECK(edns(question("web.i3", 1))->udp_size == 512);
  CHECK(edns(with_opt(question("web.i3", 1), {.size = 4096}))->udp_size == 4096);
  CHECK(edns(with_opt(question("web.i3", 1), {.size = 100}))->udp_size == 512);
  CHECK(edns(with_opt(question("web.i3", 1), {.version = 7}))->version == 7);
  CHECK_FALSE(edns(with_opt(with_opt(question("web.i3", 1)))));
  Message trailing = question("web.i3", 1);
  trailing.push_back(0);
  CHECK_FALSE(edns(trailing));
  const Message whole = with_opt(question("web.i3", 1));
  for (std::size_t size = question("web.i3", 1).size(); size < whole.size(); ++size) {
    const Message cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_FALSE(edns(cut));
  }
}

TEST_CASE("questions are equal whatever the case of their letters, and so are their hashes") {
  const Message upper = question("WEB.Example", 1), lower = question("web.exAMPLE", 1, 7),
                other = question("wec.example", 1), type = question("web.example", 28);
  const auto asked = *parse_question(upper);
  CHECK(same_question(asked, *parse_question(lower)));
  CHECK(question_hash(asked) == question_hash(*parse_question(lower)));
  CHECK_FALSE(same_question(asked, *parse_question(other)));
  CHECK_FALSE(same_question(asked, *parse_question(type)));
  // '@' and '`' differ by the same bit as letters do, and are no letters.
  const Message at = with_name({1, '@', 0}), tick = with_name({1, '`', 0});
  CHECK_FALSE(same_question(*parse_question(at), *parse_question(tick)));
}

TEST_CASE("an unreadable query is answered by its header, a response never") {
  Message message = question("web.i3", 1, 0x4242);
  message[5] = 2;
  std::array<std::uint8_t, 12> out;
  REQUIRE(write_dns_header_answer(message, Rcode::format_error, out) == 12);
  CHECK(parsed(out).id() == 0x4242);
  CHECK(parsed(out).rcode() == 1);
  CHECK(parsed(out).questions_count() == 0);
  message[2] |= 0x80;
  CHECK(write_dns_header_answer(message, Rcode::format_error, out) == 0);
  CHECK(write_dns_header_answer(Bytes(message).first(11), Rcode::format_error, out) == 0);
}
