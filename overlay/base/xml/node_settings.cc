#include "overlay/base/xml/node_settings.hh"

namespace i3 {
namespace {

// sockaddr_un holds 108 bytes with the final zero.
constexpr std::size_t kMaximumSocketPath = 107;

NodeListen read_listen(const XmlElement& element) {
  element.expect({"address", "advertise", "tls"});
  NodeListen listen;
  listen.address = element.required_endpoint("address");
  listen.advertise = element.endpoint("advertise");
  listen.tls = element.endpoint("tls");
  if (listen.advertise && listen.advertise->address.unspecified())
    element.fail_value("advertise", "names no host; write the address that others can reach");
  if (listen.advertise && listen.advertise->address.is_v4() != listen.address.address.is_v4() &&
      !listen.address.address.unspecified())
    element.fail_value("advertise", "is of another family than address; use a <listen> for each");
  return listen;
}

void read_ring(const XmlElement& root, NodeSettings& settings) {
  if (const auto ring = root.child("ring")) {
    ring->expect({"successors", "replicas", "operator-key"});
    settings.successors = static_cast<unsigned>(ring->integer_or("successors", 1, 32, 8));
    settings.replicas = static_cast<unsigned>(ring->integer_or("replicas", 0, 8, 2));
    settings.operator_key = ring->key("operator-key");
    if (settings.replicas > settings.successors)
      ring->fail_value("replicas", "is more than successors; each replica is on a successor");
  }
}

[[noreturn]] void fail_option(const std::string& option, const std::string& value,
                              const std::string& why) {
  throw ConfigError(option + ' ' + quoted(value) + ' ' + why);
}

Endpoint endpoint_option(const std::string& option, const std::string& value) {
  std::string why;
  const auto endpoint = parse_endpoint(value, false, 0, why);
  if (!endpoint) fail_option(option, value, why);
  return *endpoint;
}

}  // namespace

std::string read_identity(const XmlElement& root, std::string fallback) {
  const auto element = root.child("identity");
  if (!element) return fallback;
  element->expect({"key"});
  return element->path_or("key", fallback);
}

ControlSettings read_control(const XmlElement& root, std::string default_socket) {
  ControlSettings control{std::move(default_socket), "i3", ""};
  if (const auto element = root.child("control")) {
    element->expect({"socket", "group"});
    control.socket = element->path_or("socket", control.socket);
    control.group = element->text_or("group", control.group);
    if (control.socket.size() > kMaximumSocketPath)
      element->fail_value("socket", "is too long for a socket; at most 107 bytes are allowed");
  }
  return control;
}

StateSettings read_state(const XmlElement& root, std::string default_file) {
  StateSettings state{std::move(default_file), std::chrono::seconds(7200)};
  if (const auto element = root.child("state")) {
    element->expect({"file", "idle"});
    state.file = element->path_or("file", state.file);
    state.idle = std::chrono::seconds(element->integer_or("idle", 1, 31'536'000, 7200));
  }
  return state;
}

std::optional<Endpoint> read_metrics(const XmlElement& root) {
  const auto element = root.child("metrics");
  if (!element) return std::nullopt;
  element->expect({"listen"});
  const auto listen = element->endpoint("listen");
  if (listen && (listen->address.unspecified() || listen->address.multicast()))
    element->fail_value("listen",
                        "names no address of its own; write 127.0.0.1:PORT, or one address of this "
                        "host, for whoever connects there is answered");
  return listen;
}

EntryNode read_entry_node(const XmlElement& element, std::vector<std::string>& warnings) {
  element.expect({"address", "key", "tls-port"});
  EntryNode node{element.required_endpoint("address"), element.key("key")};
  node.tls_port = static_cast<std::uint16_t>(element.integer_or("tls-port", 1, 65'535, 443));
  if (!node.address.valid() || node.address.address.multicast())
    element.fail_value("address", "is no host's address; write the address of a node");
  if (!node.key)
    warnings.push_back(element.place().text() + ": node " + node.address.text() +
                       " has no key and is believed whoever it is");
  return node;
}

NodeSettings load_node_settings(const std::string& path) {
  return parse_node_settings(read_config_file(path), path);
}

NodeSettings parse_node_settings(std::string text, const std::string& file) {
  const auto document = XmlDocument::parse(std::move(text), file);
  const XmlElement root = document->root("i3-node");
  root.expect({}, {"identity", "listen*", "join*", "ring", "limits", "relay", "control", "state",
                   "metrics"});
  NodeSettings settings;
  settings.file = file;
  settings.identity_file = read_identity(root, settings.identity_file);
  for (const auto& listen : root.children("listen")) settings.listen.push_back(read_listen(listen));
  if (settings.listen.empty())
    root.fail("a node needs <listen address=\"ADDR:PORT\"/>, at least one");
  std::vector<std::string> unsaid;  // a node is asked for its key when it is joined through
  for (const auto& join : root.children("join"))
    settings.join.push_back(read_entry_node(join, unsaid));
  read_ring(root, settings);
  if (const auto limits = root.child("limits")) {
    limits->expect({"triggers-per-key", "triggers"});
    settings.triggers_per_key = limits->integer_or("triggers-per-key", 1, 1'000'000, 1024);
    settings.triggers = limits->integer_or("triggers", 1, 100'000'000, 1'000'000);
  }
  if (const auto relay = root.child("relay")) {
    relay->expect({"kernel", "xdp"});
    settings.relay_kernel = relay->one_of<RelayKernel>(
        "kernel",
        {{"auto", RelayKernel::automatic}, {"on", RelayKernel::on}, {"off", RelayKernel::off}},
        RelayKernel::automatic);
    settings.relay_xdp = relay->one_of<RelayXdp>(
        "xdp", {{"auto", RelayXdp::automatic}, {"on", RelayXdp::on}, {"off", RelayXdp::off}},
        RelayXdp::off);
    if (settings.relay_kernel == RelayKernel::off && settings.relay_xdp != RelayXdp::off)
      relay->fail("xdp is part of the relay in the kernel, which kernel=\"off\" leaves out");
  }
  settings.control = read_control(root, settings.control.socket);
  settings.state = read_state(root, settings.state.file);
  settings.metrics = read_metrics(root);
  return settings;
}

NodeSettings node_settings_from(const NodeOptions& options) {
  NodeSettings settings;
  if (options.listen.empty())
    throw ConfigError("--listen ADDR:PORT is needed where there is no --config FILE");
  for (const std::string& text : options.listen)
    settings.listen.push_back({endpoint_option("--listen", text), {}, {}});
  if (options.advertise.size() > options.listen.size())
    fail_option("--advertise", options.advertise.back(),
                "has no --listen that it belongs to; give as many --listen");
  for (std::size_t i = 0; i < options.advertise.size(); ++i) {
    const Endpoint advertised = endpoint_option("--advertise", options.advertise[i]);
    if (advertised.address.unspecified())
      fail_option("--advertise", options.advertise[i],
                  "names no host; write the address that others can reach");
    settings.listen[i].advertise = advertised;
  }
  if (options.tls.size() > options.listen.size())
    fail_option("--tls", options.tls.back(), "has no --listen that it belongs to");
  for (std::size_t i = 0; i < options.tls.size(); ++i)
    settings.listen[i].tls = endpoint_option("--tls", options.tls[i]);
  for (const std::string& text : options.join)
    settings.join.push_back({endpoint_option("--join", text), {}});
  if (!options.state_dir.empty()) {
    settings.identity_file = options.state_dir + "/node.key";
    settings.state.file = options.state_dir + "/node.state";
    settings.control.socket_if_free = settings.control.socket;
    settings.control.socket = options.state_dir + "/node.sock";
    if (settings.control.socket.size() > kMaximumSocketPath)
      fail_option("--state-dir", options.state_dir,
                  "is too long for a socket in it; at most 97 bytes are allowed");
  }
  return settings;
}

}  // namespace i3
