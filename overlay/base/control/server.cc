#include "overlay/base/control/server.hh"

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <set>
#include <sys/socket.h>

namespace i3 {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

constexpr std::chrono::seconds kRequestTime{30};  // for a request to arrive
constexpr std::chrono::seconds kAnswerTime{300};  // for a handler to say something
constexpr std::chrono::seconds kReadingTime{10};  // for the client to read what was sent
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr std::size_t kMaximumUnsent = std::size_t{64} << 20;

Json refusal(std::string_view error) {
  // One line, whatever a handler's exception or a library says.
  std::string line(error);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return {{"ok", false}, {"error", std::move(line)}};
}

}  // namespace

struct ControlReply::State {
  explicit State(std::shared_ptr<Sink> s) : sink(std::move(s)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  std::shared_ptr<Sink> sink;
  bool done = false;

  ~State() {
    if (!done) sink->line(refusal("the daemon gave no answer to this request"), true);
  }
};

ControlReply::ControlReply(std::shared_ptr<Sink> sink)
    : state_(std::make_shared<State>(std::move(sink))) {}

void ControlReply::ok(Json fields) const {
  if (state_->done) return;
  state_->done = true;
  fields["ok"] = true;
  state_->sink->line(fields, true);
}

void ControlReply::fail(std::string_view error) const {
  if (state_->done) return;
  state_->done = true;
  state_->sink->line(refusal(error), true);
}

void ControlReply::partial(Json value) const {
  if (!state_->done) state_->sink->line({{"partial", std::move(value)}}, false);
}

bool ControlReply::gone() const {
  return state_->sink->gone();
}

namespace {

using Dispatch = std::function<void(const std::string& command, const Json&, ControlReply)>;

// One connection: reads a line, has it answered, then reads the next. Kept alive by its own
// pending operations.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Local::socket socket, std::shared_ptr<std::size_t> count, Dispatch dispatch)
      : socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        count_(std::move(count)),
        dispatch_(std::move(dispatch)) {
    ++*count_;
  }
  ~Session() { --*count_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() { next(); }

  void close() {
    closed_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
  }
  bool closed() const { return closed_; }

  void line(const Json& value, bool last) {
    if (closed_) return;
    unsent_ += to_line(value) + '\n';
    if (unsent_.size() > kMaximumUnsent) return close();
    if (last) pending_ = false;
    send();
    if (last) asio::post(socket_.get_executor(), [self = shared_from_this()] { self->next(); });
  }

 private:
  struct Answer final : ControlReply::Sink {
    explicit Answer(std::weak_ptr<Session> s) : session(std::move(s)) {}
    void line(const Json& value, bool last) override {
      if (auto alive = session.lock()) alive->line(value, last);
    }
    bool gone() const override {
      const auto alive = session.lock();
      return !alive || alive->closed();
    }
    std::weak_ptr<Session> session;
  };

  // Answers a request that is there already, or reads on.
  void next() {
    if (closed_ || pending_) return;
    const std::size_t end = received_.find('\n', searched_);
    if (end == std::string::npos) {
      searched_ = received_.size();
      if (received_.size() > kMaximumControlRequest)
        return refuse("the request is larger than 1 MB");
      if (ended_) return finish();
      if (!sending_) restart_timer(kRequestTime);
      return read();
    }
    const std::string request = received_.substr(0, end);
    received_.erase(0, end + 1);
    searched_ = 0;
    if (request.size() > kMaximumControlRequest) return refuse("the request is larger than 1 MB");
    answer(request);
  }

  void answer(const std::string& request) {
    pending_ = true;
    if (!sending_) restart_timer(kAnswerTime);
    ControlReply reply(std::make_shared<Answer>(weak_from_this()));
    const auto value = from_line(request);
    if (!value || !value->is_object())
      return reply.fail("the request is no JSON object, or nested too deeply");
    const auto command = value->find("command");
    if (command == value->end() || !command->is_string())
      return reply.fail("the request names no command");
    const auto arguments = value->find("arguments");
    dispatch_(command->get<std::string>(), arguments == value->end() ? Json::object() : *arguments,
              reply);
  }

  void read() {
    if (reading_) return;
    reading_ = true;
    socket_.async_read_some(
        asio::buffer(block_),
        [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
          self->reading_ = false;
          if (self->closed_) return;
          self->received_.append(self->block_.data(), size);
          if (error) self->ended_ = true;
          self->next();
        });
  }

  void send() {
    if (sending_ || unsent_.empty()) return;
    sending_ = true;
    writing_.swap(unsent_);
    unsent_.clear();
    restart_timer(kReadingTime);
    asio::async_write(socket_, asio::buffer(writing_),
                      [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                        self->sending_ = false;
                        self->writing_.clear();
                        if (error || self->closed_) return self->close();
                        self->restart_timer(self->pending_ ? kAnswerTime : kRequestTime);
                        self->send();
                        if (self->ended_) self->next();
                      });
  }

  // Says why and reads no more.
  void refuse(std::string_view error) {
    received_.clear();
    searched_ = 0;
    ended_ = true;
    line(refusal(error), true);
  }

  // The client said all it wanted to say: closes when all is sent.
  void finish() {
    if (!sending_ && unsent_.empty()) close();
  }

  void restart_timer(std::chrono::seconds time) {
    if (closed_) return;  // a timer would hold up the end of the daemon
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      // A restart that came while this was queued already leaves a later expiry.
      const bool late = self->timer_.expiry() <= asio::steady_timer::clock_type::now();
      if (!error && late && !self->closed_) self->close();
    });
  }

  Local::socket socket_;
  asio::steady_timer timer_;
  std::shared_ptr<std::size_t> count_;
  Dispatch dispatch_;
  std::array<char, 16384> block_{};
  std::string received_;
  std::size_t searched_ = 0;  // no end of line before this
  std::string unsent_;
  std::string writing_;
  bool reading_ = false;
  bool sending_ = false;
  bool pending_ = false;  // a request waits for its answer
  bool ended_ = false;    // nothing more comes in
  bool closed_ = false;
};

void refuse_connection(int fd, std::string_view error) {
  const std::string line = to_line(refusal(error)) + '\n';
  // Best effort: a new socket's buffer takes a line.
  [[maybe_unused]] const auto sent =
      ::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

struct ControlServer::Shared : std::enable_shared_from_this<ControlServer::Shared> {
  struct Listener {
    Local::acceptor acceptor;
    asio::steady_timer pause;
    std::string group;
  };

  Shared(asio::io_context& c, Log& l) : context(c), log(l) {}

  asio::io_context& context;
  Log& log;
  std::map<std::string, ControlHandler> handlers;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::vector<std::string> made;
  std::vector<std::weak_ptr<Session>> sessions;
  std::shared_ptr<std::size_t> count = std::make_shared<std::size_t>(0);
  bool closed = false;

  void accept(const std::shared_ptr<Listener>& listener) {
    listener->acceptor.async_accept([self = shared_from_this(), listener](
                                        boost::system::error_code error, Local::socket socket) {
      if (self->closed || error == asio::error::operation_aborted) return;
      if (error) return self->accept_later(listener);  // out of descriptors: others may free some
      self->take(std::move(socket), listener->group);
      self->accept(listener);
    });
  }

  void accept_later(const std::shared_ptr<Listener>& listener) {
    listener->pause.expires_after(kAcceptPause);
    listener->pause.async_wait([self = shared_from_this(), listener](boost::system::error_code) {
      if (!self->closed) self->accept(listener);
    });
  }

  void take(Local::socket socket, const std::string& group) {
    if (!may_control(socket.native_handle(), group)) {
      const auto peer = peer_credentials(socket.native_handle());
      log.warning("control_refused", {{"uid", peer ? std::to_string(peer->uid) : "unknown"}});
      return refuse_connection(socket.native_handle(),
                               "not allowed; it needs root or membership of the socket's group");
    }
    if (*count >= kMaximumControlConnections)
      return refuse_connection(socket.native_handle(), "too many connections; try again");
    std::erase_if(sessions, [](const auto& session) { return session.expired(); });
    auto session = std::make_shared<Session>(
        std::move(socket), count,
        [weak = weak_from_this()](const std::string& command, const Json& arguments,
                                  ControlReply reply) {
          if (auto self = weak.lock()) self->dispatch(command, arguments, std::move(reply));
        });
    sessions.push_back(session);
    session->start();
  }

  void dispatch(const std::string& command, const Json& arguments, ControlReply reply) const {
    const auto found = handlers.find(command);
    if (found == handlers.end())
      return reply.fail("this daemon knows no command " + command.substr(0, 40));
    try {
      // A copy, because the handler may replace or remove itself.
      const ControlHandler handler = found->second;
      handler(arguments, reply);
    } catch (const std::exception& error) {
      reply.fail(error.what());
    }
  }

  void close() {
    closed = true;
    for (const auto& listener : listeners) {
      boost::system::error_code ignored;
      listener->acceptor.close(ignored);
      listener->pause.cancel();
    }
    listeners.clear();
    for (const auto& session : sessions)
      if (auto alive = session.lock()) alive->close();
    sessions.clear();
    for (const std::string& path : made) remove_control_socket(path);
    made.clear();
  }
};

ControlServer::ControlServer(asio::io_context& context, Log& log)
    : shared_(std::make_shared<Shared>(context, log)) {
  // The handler must not keep what keeps it.
  handle("commands", [weak = std::weak_ptr(shared_)](const Json&, ControlReply reply) {
    Json names = Json::array();
    if (auto shared = weak.lock())
      for (const auto& [name, handler] : shared->handlers) names.push_back(name);
    reply.ok({{"commands", std::move(names)}});
  });
}

ControlServer::~ControlServer() {
  close();
}

void ControlServer::listen(const std::string& path, const std::string& group) {
  OwnedFd socket = open_control_socket(path, group, shared_->log);
  shared_->made.push_back(path);
  adopt(std::move(socket), group);
}

void ControlServer::adopt(OwnedFd listening, const std::string& group) {
  auto listener = std::make_shared<Shared::Listener>(Shared::Listener{
      Local::acceptor(shared_->context), asio::steady_timer(shared_->context), group});
  listener->acceptor.assign(Local(), listening.get());
  listening.release();
  listener->acceptor.non_blocking(true);
  shared_->listeners.push_back(listener);
  shared_->accept(listener);
}

void ControlServer::handle(const std::string& command, ControlHandler handler) {
  shared_->handlers[command] = std::move(handler);
}

void ControlServer::dispatch(const std::string& command, const Json& arguments,
                             ControlReply reply) const {
  shared_->dispatch(command, arguments, std::move(reply));
}

std::vector<std::string> ControlServer::commands() const {
  std::vector<std::string> names;
  for (const auto& [name, handler] : shared_->handlers) names.push_back(name);
  return names;
}

std::size_t ControlServer::connections() const {
  return *shared_->count;
}

void ControlServer::close() {
  shared_->close();
}

}  // namespace i3
