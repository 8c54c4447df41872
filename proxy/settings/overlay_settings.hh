// Owns the settings that a proxy and a gateway share: <overlay>, <tun>, <virtual-addresses>.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "overlay/base/xml.hh"
#include "overlay/base/xml/node_settings.hh"

namespace i3 {

enum class Transport { automatic, udp, tls };

struct OverlaySettings {
  Endpoint listen;  // [::]:0 unless set: both families, a port that the kernel chooses
  bool shortcuts = true;
  Transport transport = Transport::automatic;
  std::optional<PublicKey> operator_key;
  std::vector<EntryNode> nodes;
  bool own_node = true;  // a node runs inside the process; unless said, where there are no nodes
};

struct TunSettings {
  std::string name;
  std::optional<unsigned> mtu{};      // nothing: probed
  std::optional<unsigned> threads{};  // of the data path, 1 or 2; nothing: by load
};

struct PoolSettings {
  IpPrefix ipv4{IpAddress::v4(0x64400000), 10};  // 100.64.0.0/10
  bool chosen =
      false;  // written in the file: never replaced by another one, a collision is an error
};

OverlaySettings read_overlay(const XmlElement& root, std::vector<std::string>& warnings);
TunSettings read_tun(const XmlElement& root, std::string default_name);
PoolSettings read_pool(const XmlElement& root);
// A name the kernel accepts for an interface.
std::optional<std::string> interface_name(std::string_view text, std::string& why);

}  // namespace i3
