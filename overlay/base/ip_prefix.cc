// Owns prefixes: their text and their arithmetic.
#include "overlay/base/ip_prefix.hh"

#include <charconv>

namespace i3 {
namespace {

// Length in the 128 bits in which both families are kept.
unsigned wide_length(const IpPrefix& prefix) {
  return prefix.is_v4() ? prefix.length + 96 : prefix.length;
}

bool agree(const IpAddress& a, const IpAddress& b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  if (bits % 8 == 0) return true;
  const unsigned differing = static_cast<unsigned>(a.bytes[whole] ^ b.bytes[whole]);
  return differing >> (8 - bits % 8) == 0;
}

IpAddress without_host_bits(IpAddress address, unsigned bits) {
  for (unsigned at = 0; at < 16; ++at) {
    const unsigned kept = bits > at * 8 ? std::min(bits - at * 8, 8u) : 0;
    address.bytes[at] &= static_cast<std::uint8_t>(0xff00u >> kept);
  }
  return address;
}

}  // namespace

std::optional<IpPrefix> IpPrefix::parse(std::string_view text, std::string& error) {
  const std::string shown = "'" + std::string(text.substr(0, 64)) + "'";
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    error = shown + " is not an address block; write one like 100.64.0.0/10 or fd00::/8";
    return std::nullopt;
  }
  const unsigned most = address->is_v4() ? 32 : 128;
  IpPrefix prefix{*address, most};
  if (slash == std::string_view::npos) return prefix;
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), prefix.length);
  if (failure != std::errc{} || end != digits.data() + digits.size() || prefix.length > most) {
    error = shown + " has no valid length after the slash; allowed is 0 to " + std::to_string(most);
    return std::nullopt;
  }
  const IpAddress base = without_host_bits(*address, wide_length(prefix));
  if (base != *address) {
    error = shown + " has bits set behind its length; the block is " +
            IpPrefix{base, prefix.length}.text();
    return std::nullopt;
  }
  return prefix;
}

bool IpPrefix::contains(const IpAddress& other) const {
  return is_v4() == other.is_v4() && agree(address, other, wide_length(*this));
}

bool IpPrefix::overlaps(const IpPrefix& other) const {
  return length <= other.length ? contains(other.address) : other.contains(address);
}

std::string IpPrefix::text() const {
  return address.text() + "/" + std::to_string(length);
}

}  // namespace i3
