#include "proxy/platform/broker.hh"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/mman.h>
#include <unordered_map>

#include "proxy/platform/broker_messages.hh"
#include "proxy/platform/host_files.hh"

namespace i3 {
namespace {

using SteadyClock = std::chrono::steady_clock;

BrokerReply failure(BrokerStatus status, std::string text) {
  return {status, std::move(text), {}};
}

// Sealed, so that the parent reads what was checked.
UniqueFd sealed_text(const std::string& text) {
  UniqueFd fd(::memfd_create("i3-replacement", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return {};
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t size = ::write(fd.get(), text.data() + done, text.size() - done);
    if (size <= 0) return {};
    done += static_cast<std::size_t>(size);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0) return {};
  return fd;
}

BrokerRequest request_of(RequestKind kind) {
  BrokerRequest request;
  request.kind = kind;
  return request;
}
BrokerRequest path_request(RequestKind kind, const std::string& path) {
  BrokerRequest request = request_of(kind);
  request.path = path;
  return request;
}
BrokerRequest route_request(RequestKind kind, const IpPrefix& prefix) {
  BrokerRequest request = request_of(kind);
  request.prefix = prefix;
  return request;
}
BrokerRequest mtu_request(std::uint16_t mtu) {
  BrokerRequest request = request_of(RequestKind::set_mtu);
  request.mtu = mtu;
  return request;
}
BrokerRequest socket_request(bool v6, bool stream) {
  BrokerRequest request = request_of(RequestKind::upstream_socket);
  request.v6 = v6;
  request.stream = stream;
  return request;
}
BrokerRequest nameserver_request(const std::vector<IpAddress>& nameservers) {
  BrokerRequest request = request_of(RequestKind::update_nameservers);
  request.nameservers = nameservers;
  return request;
}
BrokerRequest placement_request(const PlacementRequest& wanted) {
  BrokerRequest request = request_of(RequestKind::place_dns);
  request.mode = wanted.mode;
  request.sees_every_query = wanted.sees_every_query;
  request.nameservers = wanted.nameservers;
  request.domains = wanted.routing_domains;
  return request;
}

}  // namespace

struct Broker::Impl : std::enable_shared_from_this<Broker::Impl> {
  Impl(UniqueFd socket, std::chrono::milliseconds wait) : fd(std::move(socket)), timeout(wait) {}

  struct Pending {
    RequestKind kind;
    Done done;
  };
  struct Arrived {
    BrokerNotice notice;
    UniqueFd fd;
  };

  UniqueFd fd;
  std::chrono::milliseconds timeout;
  Broker* owner = nullptr;  // null once the broker ended
  boost::asio::io_context* io = nullptr;
  std::optional<boost::asio::posix::stream_descriptor> readable;
  std::uint32_t next_id = 1;
  std::unordered_map<std::uint32_t, Pending> pending;
  std::deque<Arrived> waiting;  // arrived while a call waited for its own answer
  bool gone = false;

  bool send(BrokerRequest& request, int with) {
    request.id = next_id++;
    std::vector<std::uint8_t> message = request.write();
    return !gone && !message.empty() && send_packet(fd.get(), message, with);
  }

  // False when there is nothing to take now.
  bool take(Arrived& arrived) {
    for (;;) {
      if (gone) return false;
      Packet packet = receive_packet(fd.get());
      if (packet.state == Packet::State::none) return false;
      auto notice =
          packet.state == Packet::State::message ? BrokerNotice::parse(packet.bytes) : std::nullopt;
      if (!notice) {
        gone = true;
        return false;
      }
      if (notice->kind == NoticeKind::are_you_alive) {
        if (io) send_alive();
        continue;
      }
      arrived = {std::move(*notice), std::move(packet.fd)};
      return true;
    }
  }

  void send_alive() {
    BrokerRequest alive = request_of(RequestKind::alive);
    send(alive, -1);
  }

  static BrokerReply reply_of(RequestKind kind, Arrived arrived) {
    std::uint8_t status = std::min<std::uint8_t>(arrived.notice.status, 2);
    BrokerReply reply{static_cast<BrokerStatus>(status), std::move(arrived.notice.text),
                      std::move(arrived.fd)};
    if (kind != RequestKind::read_file || !reply.ok()) return reply;
    UniqueFd file = std::move(reply.fd);
    if (!file || !read_all(file.get(), reply.text))
      return failure(BrokerStatus::failed, "the file is larger than 16 MiB or unreadable");
    return reply;
  }

  BrokerReply call(BrokerRequest request, int with = -1) {
    if (!send(request, with)) return failure(BrokerStatus::no_answer, "the parent does not listen");
    auto deadline = SteadyClock::now() + timeout;
    for (;;) {
      Arrived arrived;
      while (take(arrived)) {
        bool mine = arrived.notice.kind == NoticeKind::reply && arrived.notice.id == request.id;
        if (mine) return reply_of(request.kind, std::move(arrived));
        defer(std::move(arrived));
      }
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
      if (gone || left.count() <= 0)
        return failure(BrokerStatus::no_answer, "the parent did not answer");
      pollfd wait{fd.get(), POLLIN, 0};
      ::poll(&wait, 1, static_cast<int>(left.count()));
    }
  }

  void start(BrokerRequest request, Done done, int with = -1) {
    const char* why = nullptr;
    bool full = pending.size() >= kMaximumPending;
    if (full)
      why = "too many requests wait for the parent";
    else if (!send(request, with))
      why = "the parent does not listen";
    if (full) request.id = next_id++;
    pending.emplace(request.id, Pending{request.kind, std::move(done)});
    if (!why) return;
    // Refused like an answer: later, from the io_context.
    Arrived refused;
    refused.notice = {NoticeKind::reply, request.id,
                      static_cast<std::uint8_t>(BrokerStatus::failed), why};
    defer(std::move(refused));
  }

  // A reply nobody asked for any more, because its call gave up, is dropped when dispatched.
  void defer(Arrived arrived) {
    waiting.push_back(std::move(arrived));
    if (io) post_waiting();
  }
  void post_waiting() {
    boost::asio::post(*io, [self = weak_from_this()] {
      if (auto impl = self.lock()) impl->dispatch_waiting();
    });
  }
  void dispatch_waiting() {
    while (!waiting.empty() && owner) {
      Arrived arrived = std::move(waiting.front());
      waiting.pop_front();
      dispatch(std::move(arrived));
    }
  }

  void dispatch(Arrived arrived) {
    switch (arrived.notice.kind) {
      case NoticeKind::reload:
        if (owner->on_reload) owner->on_reload();
        return;
      case NoticeKind::shutdown:
        if (owner->on_shutdown) owner->on_shutdown();
        return;
      default:
        break;
    }
    auto found = pending.find(arrived.notice.id);
    if (found == pending.end()) return;
    Pending asked = std::move(found->second);
    pending.erase(found);
    asked.done(reply_of(asked.kind, std::move(arrived)));
  }

  void wait() {
    readable->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error && self->owner) self->on_readable();
                         });
  }

  void on_readable() {
    dispatch_waiting();
    Arrived arrived;
    while (owner && take(arrived)) dispatch(std::move(arrived));
    if (!owner) return;
    if (gone)
      parent_gone();
    else
      wait();
  }

  void parent_gone() {
    for (auto& [id, asked] : std::exchange(pending, {}))
      asked.done(failure(BrokerStatus::no_answer, "the parent is gone"));
    if (!owner) return;
    // Without its parent a worker has lost its interface's keeper: there is nothing to save.
    if (owner->on_parent_gone)
      owner->on_parent_gone();
    else
      std::_Exit(1);
  }
};

Broker::Broker(UniqueFd fd, std::chrono::milliseconds timeout)
    : impl_(std::make_shared<Impl>(std::move(fd), timeout)) {
  impl_->owner = this;
}

Broker::~Broker() {
  impl_->owner = nullptr;
  impl_->pending.clear();
  if (impl_->readable) impl_->readable->close();
}

void Broker::attach(boost::asio::io_context& io) {
  // Asio closes what it is given; requests go on over the original.
  int copy = ::fcntl(impl_->fd.get(), F_DUPFD_CLOEXEC, 0);
  impl_->readable.emplace(io, copy);
  impl_->io = &io;
  impl_->post_waiting();
  impl_->wait();
}

BrokerReply Broker::read_file(const std::string& path) {
  return impl_->call(path_request(RequestKind::read_file, path));
}
BrokerReply Broker::replace_file(const std::string& path, const std::string& text) {
  UniqueFd memory = sealed_text(text);
  if (!memory) return failure(BrokerStatus::failed, "out of memory");
  return impl_->call(path_request(RequestKind::replace_file, path), memory.get());
}
BrokerReply Broker::refresh_files() {
  return impl_->call(request_of(RequestKind::refresh_files));
}
BrokerReply Broker::open_state() {
  return impl_->call(request_of(RequestKind::open_state));
}
BrokerReply Broker::add_route(const IpPrefix& prefix) {
  return impl_->call(route_request(RequestKind::add_route, prefix));
}
BrokerReply Broker::remove_route(const IpPrefix& prefix) {
  return impl_->call(route_request(RequestKind::remove_route, prefix));
}
BrokerReply Broker::set_mtu(std::uint16_t mtu) {
  return impl_->call(mtu_request(mtu));
}
BrokerReply Broker::upstream_socket(bool v6, bool stream) {
  return impl_->call(socket_request(v6, stream));
}
BrokerReply Broker::place_dns(const PlacementRequest& request) {
  return impl_->call(placement_request(request));
}
BrokerReply Broker::update_nameservers(const std::vector<IpAddress>& nameservers) {
  return impl_->call(nameserver_request(nameservers));
}
BrokerReply Broker::withdraw_dns() {
  return impl_->call(request_of(RequestKind::withdraw_dns));
}
BrokerReply Broker::nat_opens(const NatOpens& opens) {
  BrokerRequest request = request_of(RequestKind::nat_opens);
  request.opens = opens;
  return impl_->call(std::move(request));
}
BrokerReply Broker::nat_retain() {
  return impl_->call(request_of(RequestKind::nat_retain));
}
void Broker::async_nat_names(const std::vector<NatName>& names, Done done) {
  BrokerRequest request = request_of(RequestKind::nat_names);
  request.nat_names = names;
  impl_->start(std::move(request), std::move(done));
}
void Broker::async_waypoint_names(const std::vector<WaypointName>& names, Done done) {
  BrokerRequest request = request_of(RequestKind::waypoint_names);
  request.waypoint_names = names;
  impl_->start(std::move(request), std::move(done));
}
BrokerReply Broker::ready() {
  return impl_->call(request_of(RequestKind::ready));
}

void Broker::async_read_file(const std::string& path, Done done) {
  impl_->start(path_request(RequestKind::read_file, path), std::move(done));
}
void Broker::async_replace_file(const std::string& path, const std::string& text, Done done) {
  UniqueFd memory = sealed_text(text);
  impl_->start(path_request(RequestKind::replace_file, path), std::move(done), memory.get());
}
void Broker::async_refresh_files(Done done) {
  impl_->start(request_of(RequestKind::refresh_files), std::move(done));
}
void Broker::async_add_route(const IpPrefix& prefix, Done done) {
  impl_->start(route_request(RequestKind::add_route, prefix), std::move(done));
}
void Broker::async_remove_route(const IpPrefix& prefix, Done done) {
  impl_->start(route_request(RequestKind::remove_route, prefix), std::move(done));
}
void Broker::async_set_mtu(std::uint16_t mtu, Done done) {
  impl_->start(mtu_request(mtu), std::move(done));
}
void Broker::async_upstream_socket(bool v6, bool stream, Done done) {
  impl_->start(socket_request(v6, stream), std::move(done));
}
void Broker::async_place_dns(const PlacementRequest& request, Done done) {
  impl_->start(placement_request(request), std::move(done));
}
void Broker::async_update_nameservers(const std::vector<IpAddress>& nameservers, Done done) {
  impl_->start(nameserver_request(nameservers), std::move(done));
}
void Broker::async_withdraw_dns(Done done) {
  impl_->start(request_of(RequestKind::withdraw_dns), std::move(done));
}

}  // namespace i3
