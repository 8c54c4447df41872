#include "overlay/base/xml/values.hh"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <span>

namespace i3 {
namespace {

constexpr std::string_view kBase32Alphabet = "abcdefghijklmnopqrstuvwxyz234567";

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  if (!is_digits(text)) return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `use` for each part between commas until it returns false.
template <class Use>
bool each_part(std::string_view text, Use&& use) {
  for (;;) {
    const std::size_t comma = text.find(',');
    if (!use(text.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// Sets every bit behind the first `length` of the 128 to `one`.
IpAddress with_host_bits(IpAddress address, unsigned length, bool one) {
  for (unsigned bit = length; bit < 128; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80 >> bit % 8);
    auto& byte = address.bytes[bit / 8];
    byte = static_cast<std::uint8_t>(one ? byte | mask : byte & ~mask);
  }
  return address;
}

unsigned bits_of(const IpPrefix& prefix) {
  return prefix.length + (prefix.is_v4() ? 96 : 0);
}

// What is wrong with a label; empty if nothing is.
std::string_view problem_of_label(std::string_view label) {
  if (label.empty())
    return "has an empty label; write labels of letters, digits and hyphens, with single dots "
           "between";
  if (label.size() > 63) return "has a label of more than 63 characters";
  if (label.front() == '-' || label.back() == '-')
    return "has a label that starts or ends with a hyphen";
  return {};
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text.substr(0, 80)) {
    if (c >= 0x20 && c < 0x7f) {
      result += c;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
      result += escape;
    }
  }
  return result + (text.size() > 80 ? "...\"" : "\"");
}

std::string IpRange::text() const {
  return first == last ? first.text() : first.text() + '-' + last.text();
}

bool Ports::contains(std::uint16_t port) const {
  return all() || std::any_of(ranges_.begin(), ranges_.end(), [port](const Range& range) {
           return range.first <= port && port <= range.last;
         });
}

std::string Ports::text() const {
  std::string result;
  for (const Range& range : ranges_) {
    if (!result.empty()) result += ',';
    result += std::to_string(range.first);
    if (range.last != range.first) result += '-' + std::to_string(range.last);
  }
  return result;
}

std::optional<std::uint64_t> parse_integer(std::string_view text, std::uint64_t least,
                                           std::uint64_t most, std::string& why) {
  const auto value = number(text);
  if (value && *value >= least && *value <= most) return value;
  why = std::string(value ? "is out of range" : "is no whole number") + "; allowed are " +
        std::to_string(least) + " to " + std::to_string(most);
  return std::nullopt;
}

namespace {

// A whole number and one of the units behind it.
struct Unit {
  std::string_view name;
  std::uint64_t times;
};
std::optional<std::uint64_t> with_unit(std::string_view text, std::span<const Unit> units,
                                       std::uint64_t most, const char* example, std::string& why) {
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.name)) continue;
    const auto value = number(text.substr(0, text.size() - unit.name.size()));
    if (value && *value > 0 && *value <= most / unit.times) return *value * unit.times;
  }
  why = std::string("is no whole number above 0 with its unit, or too large; write ") + example;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_rate(std::string_view text, std::string& why) {
  constexpr Unit kUnits[] = {{"kbit", 125}, {"Mbit", 125'000}, {"Gbit", 125'000'000}};
  return with_unit(text, kUnits, 125'000'000'000, "20Mbit (a second; kbit, Mbit or Gbit)", why);
}

std::optional<std::uint64_t> parse_size(std::string_view text, std::string& why) {
  constexpr Unit kUnits[] = {{"kB", 1000}, {"MB", 1'000'000}};
  return with_unit(text, kUnits, 1'000'000'000, "256kB (kB or MB)", why);
}

std::optional<Endpoint> parse_endpoint(std::string_view text, bool zero_port,
                                       std::uint16_t default_port, std::string& why) {
  auto endpoint = Endpoint::parse(text);
  if (!endpoint && default_port != 0) {
    std::string_view host = text;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
      host = host.substr(1, host.size() - 2);
    if (auto address = IpAddress::parse(host)) endpoint = Endpoint{*address, default_port};
  }
  if (!endpoint || text.find('\0') != std::string_view::npos) {
    why = default_port != 0
              ? "is no address; write ADDR or ADDR:PORT, an IPv6 address before a port in brackets"
              : "is no address with a port; write ADDR:PORT, an IPv6 address in brackets";
    return std::nullopt;
  }
  if (endpoint->port == 0 && !zero_port) {
    why = "has port 0; allowed are 1 to 65535";
    return std::nullopt;
  }
  return endpoint;
}

std::optional<PublicKey> parse_key(std::string_view text, std::string& why) {
  if (auto key = PublicKey::from_text(text)) return key;
  if (text.size() != PublicKey::kTextSize) {
    why = "is no key: it has " + std::to_string(text.size()) +
          " characters; a key has 52 of a-z and 2-7";
  } else if (text.find_first_not_of(kBase32Alphabet) != std::string_view::npos) {
    why = "is no key: character " + std::to_string(text.find_first_not_of(kBase32Alphabet) + 1) +
          " is not one of a-z (lower case) and 2-7";
  } else if (!from_base32(text)) {
    why = "is no key: its last character has spare bits set; it can only be a or q";
  } else {
    why = "is no key: no point of the curve has this value, probably a typing error";
  }
  return std::nullopt;
}

std::optional<IpPrefix> parse_prefix(std::string_view text, std::string& why) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  const auto length =
      slash == std::string_view::npos ? std::nullopt : number(text.substr(slash + 1));
  if (!address || !length || *length > (address->is_v4() ? 32u : 128u) ||
      text.find('\0') != std::string_view::npos) {
    why = "is no network; write ADDR/LENGTH, for example 10.20.0.0/16 or 2001:db8::/64";
    return std::nullopt;
  }
  IpPrefix prefix{*address, static_cast<unsigned>(*length)};
  const IpAddress network = with_host_bits(*address, bits_of(prefix), false);
  if (network != *address) {
    why =
        "has bits set behind its length; the network is " + IpPrefix{network, prefix.length}.text();
    return std::nullopt;
  }
  return prefix;
}

std::optional<std::vector<IpRange>> parse_ip_ranges(std::string_view text, std::string& why) {
  std::vector<IpRange> ranges;
  const bool fine = each_part(text, [&](std::string_view part) {
    if (ranges.size() == Ports::kMaximumRanges) {
      why = "has more than 256 parts";
      return false;
    }
    if (part.find('/') != std::string_view::npos) {
      const auto prefix = parse_prefix(part, why);
      if (prefix)
        ranges.push_back(
            {prefix->address, with_host_bits(prefix->address, bits_of(*prefix), true)});
      return prefix.has_value();
    }
    const std::size_t hyphen = part.find('-');
    const auto first = IpAddress::parse(part.substr(0, hyphen));
    const auto last =
        hyphen == std::string_view::npos ? first : IpAddress::parse(part.substr(hyphen + 1));
    if (!first || !last || first->is_v4() != last->is_v4() ||
        part.find('\0') != std::string_view::npos) {
      why = "holds no address in " + quoted(part) +
            "; write ADDR, ADDR-ADDR or ADDR/LENGTH, with commas";
      return false;
    }
    if (*last < *first) {
      why = "has the range " + quoted(part) + " backwards; write the lower address first";
      return false;
    }
    ranges.push_back({*first, *last});
    return true;
  });
  if (!fine) return std::nullopt;
  return ranges;
}

std::optional<Ports> parse_ports(std::string_view text, std::string& why) {
  std::vector<Ports::Range> ranges;
  const bool fine = each_part(text, [&](std::string_view part) {
    const std::size_t hyphen = part.find('-');
    const auto first = number(part.substr(0, hyphen));
    const auto last = hyphen == std::string_view::npos ? first : number(part.substr(hyphen + 1));
    if (!first || !last || *first == 0 || *last == 0 || *first > 65535 || *last > 65535) {
      why = "holds no port in " + quoted(part) +
            "; write ports (1 to 65535) and ranges with commas, for example 22,80,8000-8100";
    } else if (*last < *first) {
      why = "has the range " + quoted(part) + " backwards; write the lower port first";
    } else if (ranges.size() == Ports::kMaximumRanges) {
      why = "has more than 256 parts";
    } else {
      ranges.push_back({static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)});
      return true;
    }
    return false;
  });
  if (!fine) return std::nullopt;
  return Ports(std::move(ranges));
}

std::optional<std::string> domain_name(std::string_view text, std::string& why) {
  std::string name = lower_case(text);
  if (name.empty() || name.size() > 253) {
    why = name.empty() ? "is empty; a name is needed" : "is longer than 253 characters";
    return std::nullopt;
  }
  if (name.find_first_of(" \t\r\n") != std::string::npos) {
    why = "has a blank; names have letters, digits, hyphens and dots";
    return std::nullopt;
  }
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") != std::string::npos) {
    why = "has a character that names cannot have; allowed are letters, digits, hyphens and dots";
    return std::nullopt;
  }
  for (std::string_view rest = name;;) {
    const std::size_t dot = rest.find('.');
    if (const auto problem = problem_of_label(rest.substr(0, dot)); !problem.empty()) {
      why = problem;
      return std::nullopt;
    }
    if (dot == std::string_view::npos) return name;
    rest.remove_prefix(dot + 1);
  }
}

std::optional<std::string> book_name(std::string_view text, std::string& why) {
  auto name = domain_name(text, why);
  if (!name) return name;
  if (PublicKey::from_text(*name)) {
    why = "reads as a key; names that are keys need no address book";
    return std::nullopt;
  }
  if (*name == "ip" || *name == "drop") {
    why = "is a word of policies (via=\"ip\", via=\"drop\"); choose another name";
    return std::nullopt;
  }
  return name;
}

bool for_one_link(const IpAddress& group) {
  if (group.is_v4()) return group.to_v4() >> 8 == 0xe00000;
  return (group.bytes[1] & 15) <= 2;
}

}  // namespace i3
