#include "gateways/middlebox/middlebox.hh"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "gateways/middlebox/alert.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

UniqueFd copy_of(const UniqueFd& fd) {
  return fd ? UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)) : UniqueFd();
}

}  // namespace

Middlebox::Middlebox(Worker& worker, const GatewaySettings& settings)
    : worker_(worker),
      books_(settings.books),
      settings_(*settings.middlebox),
      entrance_(copy_of(worker.inherited().inspect_in)),
      judges_({[this](MutBytes packet) { worker_.host().forward(packet); },
               [this](Judges::Plugin plugin, const PluginPacket& packet) {
                 if (plugins_->send(plugin, packet)) return;
                 plugins_->send_away(plugin);
                 judges_.left(plugin);
               },
               [this](Judges::Plugin plugin) { plugins_->send_away(plugin); }},
              {settings_.demanded.begin(), settings_.demanded.end()}),
      buffer_(kLargest) {
  if (UniqueFd fd = copy_of(worker.inherited().inspect_out))
    exit_ = std::make_unique<boost::asio::posix::stream_descriptor>(worker.io(), fd.release());
  worker_.host().set_middle(this);
}

Middlebox::~Middlebox() {
  worker_.host().set_middle(nullptr);
}

void Middlebox::start() {
  if (exit_) wait();
  UniqueFd socket = copy_of(worker_.inherited().plugins);
  if (!socket) return;
  PluginServer::Events events;
  events.joined = [this](Judges::Plugin plugin, const PluginHello& hello) {
    judges_.joined(plugin, hello);
  };
  events.left = [this](Judges::Plugin plugin) { judges_.left(plugin); };
  events.verdict = [this](Judges::Plugin plugin, const PluginVerdict& verdict) {
    judges_.verdict(plugin, verdict);
  };
  events.text = [this](Judges::Plugin plugin, const PluginText& text) {
    const auto known = judges_.plugins().find(plugin);
    if (known != judges_.plugins().end()) on_text(known->second.name, text);
  };
  events.turn = [this] { worker_.after_command(); };
  plugins_ = std::make_unique<PluginServer>(worker_.io(), std::move(socket), std::move(events),
                                            worker_.log());
}

void Middlebox::stop() {
  plugins_.reset();
  exit_.reset();
}

void Middlebox::reloaded(const GatewaySettings& settings) {
  if (!settings.middlebox) return;  // takes effect after a restart
  books_ = settings.books;
  settings_ = *settings.middlebox;
  judges_.demand({settings_.demanded.begin(), settings_.demanded.end()});
}

bool Middlebox::admits(const PublicKey& end) const {
  return settings_.admits(end, books_);
}

void Middlebox::inspect(const PublicKey&, const PublicKey&, MutBytes packet) {
  const bool shown = entrance_ && ::write(entrance_.get(), packet.data(), packet.size()) >= 0;
  ++(shown ? counters_.shown : counters_.not_shown);
  // Inline, what the interface did not take was not looked at, and goes nowhere.
  if (!exit_) judge(packet);
}

void Middlebox::wait() {
  exit_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error || !exit_) return;
                      read();
                      wait();
                    });
}

void Middlebox::read() {
  for (int i = 0; i < kBatch; ++i) {
    const ssize_t size = ::read(exit_->native_handle(), buffer_.data(), buffer_.size());
    if (size <= 0) break;
    ++counters_.came_out;
    judge(MutBytes(buffer_).first(static_cast<std::size_t>(size)));
  }
  worker_.after_command();
}

void Middlebox::judge(MutBytes packet) {
  const auto view = IpView::parse(packet);
  // Larger ones than an end's interface takes are none of the ends'.
  if (!view || packet.size() > Frame::kHeadroom + wire::kMaxMessage) {
    ++counters_.malformed;
    return;
  }
  judges_.packet(name_of(view->source()), name_of(view->destination()), packet,
                 worker_.clock().now(), worker_.clock().wall());
}

std::string Middlebox::name_of(const IpAddress& address) const {
  return worker_.host().name_at(address).value_or(address.text());
}

void Middlebox::on_timer() {
  judges_.on_timer(worker_.clock().now());
}

void Middlebox::on_text(const std::string& plugin, const PluginText& text) {
  if (!text.alert)
    return worker_.log().info("inspected", {{"plugin", plugin}, {"text", text.text}});
  ++counters_.alerts;
  worker_.log().warning("alert", {{"plugin", plugin}, {"text", text.text}});
  send_alert(plugin, text.text);
}

// In a session of this host's own with whoever is to hear it, found by its public trigger.
void Middlebox::send_alert(const std::string& plugin, const std::string& text) {
  if (!settings_.alert) return;
  Host& host = worker_.host();
  const Peer* peer = alerts_.take(worker_.clock().now()) ? host.meet(*settings_.alert) : nullptr;
  if (peer == nullptr) {
    ++counters_.alerts_unsent;
    return;
  }
  OwnFrame own(alert_packet(host.own4().address(), peer->ipv4.address(), plugin, text));
  host.on_tun(own.frame());
}

void Middlebox::add_status(Json& status) {
  Json plugins = Json::array();
  for (const auto& [number, hello] : judges_.plugins())
    plugins.push_back({{"name", hello.name}, {"judges", hello.judges}});
  const JudgeCounters& judged = judges_.counters();
  const std::vector<std::string> missing = judges_.missing();
  status["middlebox"] = {{"tun", settings_.tun},
                         {"mode", exit_ ? "inline" : "passive"},
                         {"conversations", worker_.host().peers().conversations()},
                         {"plugins", plugins},
                         {"missing", missing},
                         {"shown", counters_.shown},
                         {"passed", judged.passed},
                         {"dropped", judged.dropped},
                         {"alerts", counters_.alerts}};
  for (const std::string& name : missing)
    status["problems"].push_back("middle-box: the plug-in " + name +
                                 " is not connected, so nothing passes");
}

void Middlebox::add_metrics(MetricsText& text) {
  const JudgeCounters& judged = judges_.counters();
  text.gauge("middlebox_conversations", "Conversations through this middle-box.")
      .sample(worker_.host().peers().conversations());
  text.counter("middlebox_packets_total", "Packets of conversations, by what became of them.")
      .sample("what", "shown", counters_.shown)
      .sample("what", "not_shown", counters_.not_shown)
      .sample("what", "came_out", counters_.came_out)
      .sample("what", "passed", judged.passed)
      .sample("what", "dropped", judged.dropped)
      .sample("what", "no_judge", judged.no_judge)
      .sample("what", "no_room", judged.no_room)
      .sample("what", "malformed", counters_.malformed);
  text.counter("middlebox_names_total", "Names behind gateways, as conversations use them.")
      .sample("what", "no_room", worker_.host().leg_names().no_room());
  text.counter("middlebox_verdicts_total", "Verdicts of plug-ins that did not count.")
      .sample("what", "too_late", judged.too_late)
      .sample("what", "not_asked", judged.not_asked);
  text.counter("middlebox_alerts_total", "Alerts of plug-ins.")
      .sample("what", "raised", counters_.alerts)
      .sample("what", "unsent", counters_.alerts_unsent);
}

}  // namespace i3
