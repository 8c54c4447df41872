#include "overlay/base/endpoint.hh"

#include <arpa/inet.h>
#include <charconv>

namespace i3 {
namespace {
constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

IpAddress IpAddress::v4(std::uint32_t host) {
  IpAddress result;
  Writer writer(result.bytes);
  writer.bytes(kMapped);
  writer.u32(host);
  return result;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  if (in_addr four{}; inet_pton(AF_INET, copy.c_str(), &four) == 1) return v4(ntohl(four.s_addr));
  if (in6_addr six{}; inet_pton(AF_INET6, copy.c_str(), &six) == 1) {
    IpAddress result;
    std::memcpy(result.bytes.data(), &six, 16);
    return result;
  }
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  return std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
}

std::uint32_t IpAddress::to_v4() const {
  assert(is_v4());
  return Reader(Bytes(bytes).subspan(12)).u32();
}

bool IpAddress::unspecified() const {
  return *this == IpAddress{} || *this == v4(0);
}

bool IpAddress::loopback() const {
  if (is_v4()) return to_v4() >> 24 == 127;
  IpAddress one;
  one.bytes[15] = 1;
  return *this == one;
}

bool IpAddress::multicast() const {
  return is_v4() ? to_v4() >> 28 == 14 : bytes[0] == 0xff;
}

bool IpAddress::link_local() const {
  return is_v4() ? to_v4() >> 16 == 0xa9fe : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

bool IpAddress::is_private() const {
  if (!is_v4()) return (bytes[0] & 0xfe) == 0xfc;
  const std::uint32_t host = to_v4();
  return host >> 24 == 10 || host >> 20 == 0xac1 || host >> 16 == 0xc0a8 || host >> 22 == 0x191 ||
         host >> 17 == 0x6309;
}

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN];
  if (is_v4()) {
    inet_ntop(AF_INET, bytes.data() + 12, buffer, sizeof buffer);
  } else {
    inet_ntop(AF_INET6, bytes.data(), buffer, sizeof buffer);
  }
  return buffer;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  if (!address || (bracketed != (host.find(':') != std::string_view::npos))) return std::nullopt;
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
    return std::nullopt;
  return Endpoint{*address, port};
}

std::string Endpoint::text() const {
  const std::string host = address.text();
  return (address.is_v4() ? host : '[' + host + ']') + ':' + std::to_string(port);
}

IpAddress limit_prefix(const IpAddress& address) {
  if (address.is_v4()) return address;
  IpAddress result = address;
  std::fill(result.bytes.begin() + 7, result.bytes.end(), std::uint8_t{0});
  return result;
}

}  // namespace i3
