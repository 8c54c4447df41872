#include "proxy/settings/overlay_settings.hh"

namespace i3 {

OverlaySettings read_overlay(const XmlElement& root, std::vector<std::string>& warnings) {
  OverlaySettings overlay;
  const auto element = root.child("overlay");
  if (!element) return overlay;
  element->expect({"listen", "shortcuts", "transport", "operator-key", "own-node"}, {"node*"});
  overlay.listen = element->endpoint("listen", true).value_or(overlay.listen);
  overlay.shortcuts = element->yes_no_or("shortcuts", true);
  overlay.transport = element->one_of<Transport>(
      "transport",
      {{"auto", Transport::automatic}, {"udp", Transport::udp}, {"tls", Transport::tls}},
      Transport::automatic);
  overlay.operator_key = element->key("operator-key");
  for (const XmlElement& node : element->children("node"))
    overlay.nodes.push_back(read_entry_node(node, warnings));
  overlay.own_node = element->yes_no_or("own-node", overlay.nodes.empty());
  if (!overlay.own_node && overlay.nodes.empty())
    element->fail("own-node=\"no\" needs at least one <node address=\"...\"/> to start from");
  return overlay;
}

TunSettings read_tun(const XmlElement& root, std::string default_name) {
  TunSettings tun{std::move(default_name)};
  const auto element = root.child("tun");
  if (!element) return tun;
  element->expect({"name", "mtu", "threads"});
  tun.name = element->value("name", interface_name).value_or(tun.name);
  if (const auto mtu = element->find("mtu"); mtu && *mtu != "auto") {
    std::string why;
    const auto bytes = parse_integer(*mtu, 1280, 1700, why);
    if (!bytes) element->fail_value("mtu", why + ", or auto");
    tun.mtu = static_cast<unsigned>(*bytes);
  }
  if (const auto threads = element->find("threads"); threads && *threads != "auto") {
    std::string why;
    const auto count = parse_integer(*threads, 1, 2, why);
    if (!count) element->fail_value("threads", why + ", or auto");
    tun.threads = static_cast<unsigned>(*count);
  }
  return tun;
}

PoolSettings read_pool(const XmlElement& root) {
  PoolSettings pool;
  const auto element = root.child("virtual-addresses");
  if (!element) return pool;
  element->expect({"ipv4"});
  const auto prefix = element->value("ipv4", parse_prefix);
  if (!prefix) return pool;
  if (!prefix->is_v4() || prefix->length < 8 || prefix->length > 24)
    element->fail_value("ipv4", "is no IPv4 network of a fitting size; allowed are /8 to /24");
  if (prefix->address.multicast() || prefix->address.loopback() ||
      prefix->address.to_v4() >> 24 == 0)
    element->fail_value("ipv4",
                        "cannot be used for hosts; take a private network, for example "
                        "100.64.0.0/10 or 10.64.0.0/16");
  pool.ipv4 = *prefix;
  pool.chosen = true;
  return pool;
}

std::optional<std::string> interface_name(std::string_view text, std::string& why) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (!text.empty() && text.size() <= 15 && text != "." && text != ".." &&
      text.find_first_not_of(kAllowed) == std::string_view::npos)
    return std::string(text);
  why =
      "is no name for an interface; allowed are 1 to 15 letters, digits, hyphens, underscores "
      "and dots";
  return std::nullopt;
}

}  // namespace i3
