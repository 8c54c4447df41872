// Owns the settings of a node (<i3-node>) and the parts that all three daemons' files share.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "overlay/base/entry_node.hh"
#include "overlay/base/xml.hh"

namespace i3 {

struct ControlSettings {
  std::string socket;
  std::string group = "i3";
  // Listened at as well where nobody else does; empty: no second one. Set only for a node that was
  // started from options with a --state-dir, so that several can run on one machine.
  std::string socket_if_free;
};

struct StateSettings {
  std::string file;
  std::chrono::seconds idle{7200};
};

struct NodeListen {
  Endpoint address;
  std::optional<Endpoint> advertise;  // what others are told; without: what they observe
  std::optional<Endpoint> tls;        // local address for TLS; offered at advertise's address
};

enum class RelayKernel { automatic, on, off };
enum class RelayXdp { automatic, on, off };

struct NodeSettings {
  std::string file;  // what they came from; empty for options
  std::string identity_file = "/var/lib/i3/node.key";
  std::vector<NodeListen> listen;  // at least one
  std::vector<EntryNode> join;
  unsigned successors = 8;
  unsigned replicas = 2;
  std::optional<PublicKey> operator_key;
  std::size_t triggers_per_key = 1024;
  std::size_t triggers = 1'000'000;
  RelayKernel relay_kernel = RelayKernel::automatic;
  RelayXdp relay_xdp = RelayXdp::off;
  ControlSettings control{"/run/i3/node.sock", "i3", ""};
  StateSettings state{"/var/lib/i3/node.state", std::chrono::seconds(7200)};
  std::optional<Endpoint> metrics;
  std::vector<std::string> warnings;  // to be logged: accepted, but worth knowing
};

// All throw ConfigError.
NodeSettings load_node_settings(const std::string& path);
NodeSettings parse_node_settings(std::string text, const std::string& file);

// As typed after i3-node. `advertise` belongs to the `listen` at the same place.
struct NodeOptions {
  std::vector<std::string> listen;
  std::vector<std::string> advertise;
  std::vector<std::string> tls;  // likewise
  std::vector<std::string> join;
  std::string state_dir;  // empty: /var/lib/i3
};
// ConfigError's text starts with the option instead of a file.
NodeSettings node_settings_from(const NodeOptions& options);

// <identity>, <control>, <state>, <metrics> of any root; the fallbacks are those of the daemon.
std::string read_identity(const XmlElement& root, std::string fallback);
ControlSettings read_control(const XmlElement& root, std::string default_socket);
StateSettings read_state(const XmlElement& root, std::string default_file);
std::optional<Endpoint> read_metrics(const XmlElement& root);
// <node> or <join>: an address and perhaps a key; without a key a warning is added.
EntryNode read_entry_node(const XmlElement& element, std::vector<std::string>& warnings);

}  // namespace i3
