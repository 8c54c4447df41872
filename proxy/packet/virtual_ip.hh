// Owns the two meanings of an IP address, kept apart by type.
#pragma once

#include <span>
#include <string>

#include "overlay/base/ip_prefix.hh"

namespace i3 {

template <class Meaning>
class MeantIp {
 public:
  MeantIp() = default;
  explicit MeantIp(const IpAddress& address) : address_(address) {}

  const IpAddress& address() const { return address_; }
  bool is_v4() const { return address_.is_v4(); }
  std::string text() const { return address_.text(); }

  auto operator<=>(const MeantIp&) const = default;

 private:
  IpAddress address_;
};

// An address that only this host gives meaning to: it stands for a peer (or for the host itself)
// towards local programs.
using VirtualIp = MeantIp<struct VirtualMeaning>;
// An address of the underlay.
using RealIp = MeantIp<struct RealMeaning>;

// The first of `routes` that shares addresses with `pool`. Default routes (length 0) do not count.
std::optional<IpPrefix> first_overlap(const IpPrefix& pool, std::span<const IpPrefix> routes);

}  // namespace i3

template <class Meaning>
struct std::hash<i3::MeantIp<Meaning>> {
  std::size_t operator()(const i3::MeantIp<Meaning>& ip) const noexcept {
    return std::hash<i3::IpAddress>{}(ip.address());
  }
};
