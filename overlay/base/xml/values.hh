// Owns the text forms of single settings: prefixes, address and port ranges, keys, domain names.
// Used by the XML reader and by command lines; each parser says in `why` what is wrong and what is
// allowed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/ip_prefix.hh"
#include "overlay/base/keys.hh"

namespace i3 {

// Both ends included; one family.
struct IpRange {
  IpAddress first;
  IpAddress last;

  bool contains(const IpAddress& other) const { return first <= other && other <= last; }
  std::string text() const;
  auto operator<=>(const IpRange&) const = default;
};

// A set of TCP or UDP ports; default-constructed it holds all of them.
class Ports {
 public:
  struct Range {
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    auto operator<=>(const Range&) const = default;
  };
  static constexpr std::size_t kMaximumRanges = 256;

  Ports() = default;
  explicit Ports(std::vector<Range> ranges) : ranges_(std::move(ranges)) {}

  bool all() const { return ranges_.empty(); }
  bool contains(std::uint16_t port) const;
  const std::vector<Range>& ranges() const { return ranges_; }
  std::string text() const;  // "22,80,8000-8100"; empty for all
  bool operator==(const Ports&) const = default;

 private:
  std::vector<Range> ranges_;
};

// Bytes a second, and how many at once; 0 a second: no limit.
struct ByteRate {
  std::uint64_t per_second = 0;
  std::uint64_t burst = 0;
  bool operator==(const ByteRate&) const = default;
};

// For a message: in double quotes, control characters and bytes above ASCII escaped, at most 80.
std::string quoted(std::string_view text);
// A multicast address that routers never pass on, such as those of neighbour discovery and mDNS.
bool for_one_link(const IpAddress& group);

std::optional<std::uint64_t> parse_integer(std::string_view text, std::uint64_t least,
                                           std::uint64_t most, std::string& why);
// Where default_port is not 0, an address alone means that port.
std::optional<Endpoint> parse_endpoint(std::string_view text, bool zero_port,
                                       std::uint16_t default_port, std::string& why);
std::optional<PublicKey> parse_key(std::string_view text, std::string& why);
std::optional<IpPrefix> parse_prefix(std::string_view text, std::string& why);
// "A", "A-B" or "A/LENGTH", separated by commas.
std::optional<std::vector<IpRange>> parse_ip_ranges(std::string_view text, std::string& why);
std::optional<Ports> parse_ports(std::string_view text, std::string& why);
// "20Mbit" (a second; kbit, Mbit, Gbit) in bytes, and "256kB" (kB, MB).
std::optional<std::uint64_t> parse_rate(std::string_view text, std::string& why);
std::optional<std::uint64_t> parse_size(std::string_view text, std::string& why);
// One or more labels of letters, digits and inner hyphens (RFC 1123), 63 bytes a label, 253 in
// all; the result is in lower case.
std::optional<std::string> domain_name(std::string_view text, std::string& why);
// A domain name that may stand in an address book: also not one that reads as a key.
std::optional<std::string> book_name(std::string_view text, std::string& why);

std::string lower_case(std::string_view text);

}  // namespace i3
