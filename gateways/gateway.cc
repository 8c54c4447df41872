#include "gateways/gateway.hh"

#include <algorithm>

#include "gateways/host_part.hh"
#include "gateways/middlebox/middlebox.hh"
#include "gateways/relay/relay_box.hh"
#include "gateways/to_ip/to_ip.hh"
#include "gateways/waypoint/from_ip.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {

ProxySettings Gateway::parse(std::string text, const std::string& file, const FileSource& source) {
  parsed_ = parse_gateway_settings(std::move(text), file, source);
  return host_part(parsed_);
}

// A kind plugs in here: `if (settings_.KIND) kinds_.push_back(std::make_unique<Kind>(worker,
// *settings_.KIND, state))`, a class of its own below gateways/KIND/. By `worker` it reaches the
// host, the broker to the parent, the event loop, clock and chance. What it needs of the parent at
// start goes into Program::add_request (main.cc).
void Gateway::begin(Worker& worker, std::string_view state) {
  worker_ = &worker;
  settings_ = parsed_;
  if (settings_.middlebox) kinds_.push_back(std::make_unique<Middlebox>(worker, settings_));
  if (settings_.relay) kinds_.push_back(std::make_unique<RelayBox>(worker, settings_));
  if (settings_.ip_to_i3) kinds_.push_back(std::make_unique<FromIp>(worker, *settings_.ip_to_i3));
  // The last one: it takes every packet of its clients for a virtual address.
  if (settings_.i3_to_ip)
    kinds_.push_back(std::make_unique<ToIp>(worker, *settings_.i3_to_ip, state));
}

void Gateway::reloaded() {
  settings_ = parsed_;
  for (const auto& kind : kinds_) kind->reloaded(settings_);
}

void Gateway::start() {
  for (const auto& kind : kinds_) kind->start();
}

void Gateway::stop() {
  for (const auto& kind : kinds_) kind->stop();
}

void Gateway::flush() {
  for (const auto& kind : kinds_) kind->flush();
}

TimePoint Gateway::next_deadline() const {
  TimePoint next = kNever;
  for (const auto& kind : kinds_) next = std::min(next, kind->next_deadline());
  return next;
}

void Gateway::on_timer() {
  for (const auto& kind : kinds_)
    if (worker_->clock().now() >= kind->next_deadline()) kind->on_timer();
}

std::string Gateway::state_lines() const {
  std::string lines;
  for (const auto& kind : kinds_) lines += kind->state_lines();
  return lines;
}

void Gateway::add_status(Json& status) {
  status["kinds"] = Json::array();
  for (const auto& [name, asked] : {std::pair{"i3-to-ip", settings_.i3_to_ip.has_value()},
                                    std::pair{"ip-to-i3", settings_.ip_to_i3.has_value()},
                                    std::pair{"middlebox", settings_.middlebox.has_value()},
                                    std::pair{"relay", settings_.relay.has_value()}})
    if (asked) status["kinds"].push_back(name);
  for (const auto& kind : kinds_) kind->add_status(status);
}

void Gateway::add_metrics(MetricsText& text) {
  for (const auto& kind : kinds_) kind->add_metrics(text);
}

void Gateway::register_commands(ControlServer& server) {
  for (const auto& kind : kinds_) kind->register_commands(server);
}

std::optional<Inbound::Result> Gateway::from_peer(Peer& peer, IpPacket& packet, MutBytes answer,
                                                  TimePoint now) {
  for (const auto& kind : kinds_)
    if (auto taken = kind->from_peer(peer, packet, answer, now)) return taken;
  return std::nullopt;
}

Peer* Gateway::to_peer(IpPacket& packet, TimePoint now) {
  for (const auto& kind : kinds_)
    if (Peer* peer = kind->to_peer(packet, now)) return peer;
  return nullptr;
}

bool Gateway::on_control(Peer& peer, Bytes plaintext, TimePoint now) {
  return std::any_of(kinds_.begin(), kinds_.end(),
                     [&](const auto& kind) { return kind->on_control(peer, plaintext, now); });
}

}  // namespace i3
