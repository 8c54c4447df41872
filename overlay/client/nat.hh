// Owns what a host knows of the NAT or firewall before it (RFC 4787, RFC 5780).
#pragma once

#include <optional>
#include <string_view>

#include "overlay/base/endpoint.hh"
#include "overlay/base/time.hh"

namespace i3 {

// On what of the other side a mapping, or what is let in, depends.
enum class NatDependence : std::uint8_t { unknown, none, address, address_and_port };

struct NatReport {
  bool checked = false;     // all else counts only then
  bool udp = false;         // some node answered
  bool translated = false;  // nodes see another address or port than our own
  NatDependence mapping = NatDependence::unknown;
  NatDependence filtering = NatDependence::unknown;
  bool preserves_port = false;
  int port_step = 0;  // from one mapping to the next one, where that is always the same
  bool several_addresses = false;        // different nodes see different ones
  std::optional<bool> hairpin;           // our own outside address reaches us
  Duration binding_lasts{};              // without a packet out, at least; zero: not measured
  std::optional<Duration> binding_ends;  // and gone after that
  std::optional<Endpoint> observed;      // of the check's own socket
  TimePoint at{};

  // One word: unknown, none, firewall, full-cone, address-restricted, port-restricted, symmetric.
  std::string_view name() const;
  // How often a binding must be used to stay: from 2 to 10 s.
  Duration keep_alive() const;
};

std::string_view name_of(NatDependence dependence);

}  // namespace i3
