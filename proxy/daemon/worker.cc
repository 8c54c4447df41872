// The worker's life: 1 what the parent gives  2 settings  3 state  4 sockets  5 DNS  6 control
#include "proxy/daemon/worker.hh"

#include <boost/asio/post.hpp>
#include <signal.h>

#include "proxy/daemon/commands.hh"
#include "proxy/platform/resident.hh"
#include "proxy/platform/sockets.hh"

namespace i3 {
namespace {

constexpr auto kStopPatience = std::chrono::milliseconds(1200);

}  // namespace

Worker::Worker(int fd, const std::string& config, const VirtualNetworks& networks, Log& log,
               std::unique_ptr<WorkerExtension> extension)
    : log_(log),
      extension_(std::move(extension)),
      config_(config),
      networks_(networks),
      started_(clock_.now()),
      inherited_(receive_inherited(fd)),
      broker_(std::make_unique<Broker>(UniqueFd(fd))),
      settings_(read_settings()),
      warnings_(settings_.warnings),
      identity_(std::make_unique<Identity>(inherited_.seed)),
      aside_(
          io_, [this](const Endpoint& from, Bytes datagram) { host_->on_aside(from, datagram); },
          [this] { turn(); }) {
  for (std::string& note : notes()) warnings_.push_back(std::move(note));
  for (const std::string& warning : warnings_) log_.warning("settings", {{"note", warning}});
  read_underlay();
  if (inherited_.udp.size() > 1) node_socket_ = std::move(inherited_.udp[1]);
  make_node();
  state_ = std::make_unique<StateFile>(std::move(inherited_.state), settings_.state.file, *broker_,
                                       log_);
  underlay_ = std::make_unique<Underlay>(
      io_, std::move(inherited_.udp[0]),
      [this](const Endpoint& from, MutBytes datagram) {
        clock_.hold();
        if (!transports_->take(from, datagram)) host_->on_datagram(from, datagram);
      },
      [this] {
        turn();
        if (underlay_->few()) tun_->take_answer();
      });
  underlay_->expect = [this](Underlay::Datagrams datagrams) {
    for (const auto step : Sessions::kFetches)
      for (const UdpSocket::Datagram& one : datagrams) host_->expect(one.bytes, step);
  };
  make_transports();
  tun_ = std::make_unique<TunIo>(
      io_, TunQueue{std::move(inherited_.tun[0]), inherited_.virtio_header},
      [this](std::span<const Frame> frames) { captured(frames); }, [this] { turn(); });
  underlay_->use(threads_.second());
  tun_->use(threads_.second());
  underlay_->borrow_from(tun_->storage());
  tun_->borrow_from(underlay_->storage());
  const std::string state = state_->read();
  host_ = std::make_unique<Host>(*identity_, clock_, random_, log_, *this, host_settings(state));
  tell_underlay();
  make_visits();
  make_groups();
  groups_->names().restore(state);
  names_ = std::make_unique<Names>(*host_, settings_.dns.suffix, settings_.policy);
  names_->set_visits(visits_.get());
  names_->set_groups(groups_.get());
  // A question that was sent on leaves with the next turn.
  names_->asked = [this] { boost::asio::post(io_, [this] { turn(); }); };
  if (extension_) extension_->begin(*this, state);
  state_->rewrite(state_lines());
}

// The parent's socket, and whoever asks over it, lives in the event loop and must go before it.
Worker::~Worker() {
  threads_.stop();
  metrics_.reset();
  control_.reset();
  resolver_.reset();
  dns_.reset();
  extension_.reset();
  broker_.reset();
}

void Worker::start_control() {
  control_ = std::make_unique<ControlServer>(io_, log_);
  register_commands(*control_, *this);
  if (extension_) extension_->register_commands(*control_);
  if (inherited_.control)
    control_->adopt(OwnedFd(inherited_.control.release()), settings_.control.group);
  if (!inherited_.tcp.empty())
    metrics_ = std::make_unique<MetricsServer>(io_, OwnedFd(inherited_.tcp[0].fd.release()),
                                               inherited_.tcp[0].local.address.is_v4(),
                                               [this] { return metrics_text(*this); });
}

void Worker::run() {
  broker_->on_reload = [this] {
    try {
      reload();
    } catch (const std::exception& error) {
      log_.error("reload_refused", {{"reason", error.what()}});
    }
  };
  broker_->on_shutdown = [this] { stop(); };
  broker_->attach(io_);
  watch_descriptor_ =
      std::make_unique<boost::asio::posix::stream_descriptor>(io_, ::dup(watch_.descriptor()));
  watch_underlay();
  clock_watch_ = std::make_unique<ClockWatch>(io_, [this](std::string_view why) {
    if (!stopping_) time_jumped(why);
  });
  host_->start();
  transports_->start();
  start_dns();
  if (extension_) extension_->start();
  start_control();
  joined_->watch(!groups_->multicast().empty());
  threads_.set(settings_.tun.threads);
  broker_->ready();
  log_.info("started", {{"key", identity_->key().text()},
                        {"ipv4", host_->own4().text()},
                        {"ipv6", host_->own6().text()},
                        {"worker", std::to_string(inherited_.incarnation)}});
  turn();
  give_back_code();
  io_.run();
}

void Worker::stop() {
  if (stopping_) return;
  stopping_ = true;
  visits_->stop();
  if (extension_) extension_->stop();
  host_->stop();
  transports_->flush();
  state_->rewrite(state_lines() + "clean\n");
  underlay_timer_.expires_after(kStopPatience);
  underlay_timer_.async_wait([this](const boost::system::error_code&) { io_.stop(); });
  finish_when_stopped();
}

void Worker::finish_when_stopped() {
  if (stopping_ && host_->stopped()) io_.stop();
}

// After every batch of work: what was gathered leaves, and the timer is set to what comes next.
void Worker::turn() {
  threads_.look(clock_.now(), tun_->bytes() + underlay_->bytes());
  clock_.release();
  if (extension_) extension_->flush();
  tun_->flush();
  transports_->flush();
  visit_sockets_->flush();
  if (!stopping_ && state_->wants_rewrite()) state_->rewrite(state_lines());
  finish_when_stopped();
  arm();
}

void Worker::arm() {
  const TimePoint next =
      std::min({host_->next_deadline(), visits_->next_deadline(), groups_->next_deadline(),
                extension_ ? extension_->next_deadline() : kNever});
  // A timer that fires too early only asks again; it is not set back for every packet.
  if (next >= armed_) return;
  armed_ = next;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(next.time_since_epoch())));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (clock_watch_) clock_watch_->fired(std::exchange(armed_, kNever), clock_.now());
    armed_ = kNever;
    host_->on_timer();
    if (clock_.now() >= visits_->next_deadline()) visits_->on_timer();
    groups_->on_timer();
    if (extension_ && clock_.now() >= extension_->next_deadline()) extension_->on_timer();
    turn();
  });
}

void Worker::send(const Endpoint& to, Bytes datagram) {
  transports_->send(to, datagram);
}

void Worker::to_tun(Bytes packet) {
  tun_->write(packet);
}

void Worker::set_route(const VirtualIp& address, bool present) {
  const IpPrefix prefix{address.address(), address.is_v4() ? 32u : 128u};
  BrokerReply reply = present ? broker_->add_route(prefix) : broker_->remove_route(prefix);
  if (!reply.ok())
    log_.warning("route_refused", {{"address", address.text()}, {"reason", reply.text}});
}

// A host in a tunnel sends nothing by UDP.
std::optional<std::uint16_t> Worker::open_aside() {
  if (transports_->on_tls()) return std::nullopt;
  return aside_.open(underlay_->local().address.is_v4());
}

std::string Worker::state_lines() const {
  return host_->state_lines() + groups_->names().behind().state_lines() +
         (extension_ ? extension_->state_lines() : std::string());
}

// Whom a visit's name means; of a revoked key nobody.
void Worker::people_changed() {
  std::vector<VisitName> names;
  for (VisitName& name : visits_of(settings_))
    if (const auto key = host_->believed().current(name.key)) {
      name.key = *key;
      names.push_back(std::move(name));
    }
  visits_->set_names(std::move(names));
}

void Worker::log_state(const std::string& line) {
  if (!stopping_) state_->append(line);
}

}  // namespace i3
