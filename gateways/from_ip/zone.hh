// Owns the authoritative DNS zone of an IP-to-i3 gateway: which question gets which answer. Pure.
// The rules that it keeps are listed in docs/ip-to-i3.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dnsintercept/dns_message.hh"
#include "dnsintercept/question_table.hh"
#include "gateways/from_ip/response_limit.hh"

namespace i3 {

struct ZoneServer {
  std::string name;                    // whole, lower case, no trailing dot
  std::vector<IpAddress> addresses{};  // of a name inside the zone: answered, and given along
};

struct ZoneSettings {
  std::string zone;                 // lower case, no dots at the ends
  std::vector<ZoneServer> servers;  // at least one
  std::string contact;              // of the SOA record, as a name: "hostmaster.example.org"
};

// What the names of the zone mean at this moment.
struct ZoneMeaning {
  enum class Kind {
    unknown,   // NXDOMAIN
    empty,     // only names below it exist
    known,     // A from ipv4, AAAA from ipv6; an absent one is an empty NOERROR
    over_tcp,  // worth an address only to who asks over TCP, hence is where it says it is
  };
  Kind kind = Kind::unknown;
  std::optional<std::uint32_t> ipv4{};
  std::optional<std::array<std::uint8_t, 16>> ipv6{};
};

class ZoneNames {
 public:
  virtual ~ZoneNames() = default;
  // `name` is what stands before the zone, lower case, escaped as by dns_name_text(); empty for the
  // zone itself, of which only the addresses count. `type` is the question's: only for an A record
  // a waypoint need be given.
  virtual ZoneMeaning look_up(std::string_view name, std::uint16_t type, const DnsClient& client,
                              TimePoint now) = 0;
};

struct ZoneCounters {
  std::uint64_t questions = 0, answered = 0, unknown = 0, refused = 0, malformed = 0, ignored = 0,
                truncated = 0, limited = 0, silenced = 0;
};

class Zone {
 public:
  static constexpr std::uint32_t kTtl = 3600;         // of SOA, NS and servers' addresses
  static constexpr std::uint32_t kNegativeTtl = 300;  // RFC 2308 5: of what does not exist

  // `names` must outlive the zone.
  Zone(ZoneSettings settings, ZoneNames& names);

  // Writes the answer into `out`, of at least kDnsAnswerSize bytes; 0: nothing is sent.
  std::size_t answer(const DnsClient& client, Bytes message, TimePoint now, MutBytes out);
  const ZoneCounters& counters() const { return counters_; }
  const ZoneSettings& settings() const { return settings_; }

 private:
  struct Reply;

  void answer_question(const DnsClient& client, const DnsQuestion& question, const Edns& edns,
                       TimePoint now, Reply& reply);
  void answer_zone(const DnsClient& client, const DnsQuestion& question, TimePoint now,
                   Reply& reply);
  void answer_name(const DnsClient& client, const DnsQuestion& question, std::string_view before,
                   TimePoint now, Reply& reply);
  void put_meaning(const ZoneMeaning& meaning, std::uint16_t type, Reply& reply);
  void put_any(Reply& reply);
  void put_servers(Reply& reply);
  void put_soa(Reply& reply, bool negative);
  std::size_t write_name(Writer& writer, std::string_view name, std::uint16_t zone_at) const;
  std::size_t finish(const DnsQuestion& question, const Edns& edns, Reply& reply, MutBytes out);
  bool above_server(std::string_view before) const;

  ZoneSettings settings_;
  ZoneNames& names_;
  ResponseLimit limit_;
  ZoneCounters counters_;
};

}  // namespace i3
