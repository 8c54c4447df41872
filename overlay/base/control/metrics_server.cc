#include "overlay/base/control/metrics_server.hh"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace i3 {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr std::chrono::seconds kConnectionTime{5};
constexpr std::chrono::milliseconds kAcceptPause{200};

using Answer = http::response<http::string_body>;

Answer plain(http::status status, std::string body) {
  Answer answer(status, 11);
  answer.set(http::field::content_type, "text/plain; charset=utf-8");
  answer.body() = std::move(body);
  return answer;
}

Answer answer_to(http::verb method, std::string_view target,
                 const std::function<std::string()>& text) {
  if (method != http::verb::get && method != http::verb::head) {
    Answer answer = plain(http::status::method_not_allowed, "only GET\n");
    answer.set(http::field::allow, "GET, HEAD");
    return answer;
  }
  if (target.substr(0, target.find('?')) != "/metrics")
    return plain(http::status::not_found, "only /metrics is here\n");
  Answer answer = plain(http::status::ok, text());
  answer.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
  return answer;
}

// One request and its answer. Kept alive by its own pending operation.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(tcp::socket socket, std::shared_ptr<std::size_t> count,
           std::function<std::string()> text)
      : stream_(std::move(socket)), count_(std::move(count)), text_(std::move(text)) {
    ++*count_;
    parser_.header_limit(MetricsServer::kMaximumRequest);
  }
  ~Exchange() { --*count_; }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void start() {
    stream_.expires_after(kConnectionTime);
    http::async_read_header(
        stream_, buffer_, parser_,
        [self = shared_from_this()](beast::error_code error, std::size_t) { self->answer(error); });
  }
  void close() { stream_.close(); }

 private:
  void answer(beast::error_code error) {
    // Who sends no HTTP and who is slow gets nothing: nobody there would read it.
    if (error) return;
    const auto& request = parser_.get();
    const std::string_view target(request.target().data(), request.target().size());
    answer_ = answer_to(request.method(), target, text_);
    answer_.keep_alive(false);
    answer_.prepare_payload();
    if (request.method() == http::verb::head) answer_.body().clear();
    serializer_ = std::make_unique<http::response_serializer<http::string_body>>(answer_);
    serializer_->split(request.method() == http::verb::head);
    const auto done = [self = shared_from_this()](beast::error_code, std::size_t) {
      beast::error_code ignored;
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    };
    if (request.method() == http::verb::head)
      http::async_write_header(stream_, *serializer_, done);
    else
      http::async_write(stream_, *serializer_, done);
  }

  beast::tcp_stream stream_;
  std::shared_ptr<std::size_t> count_;
  std::function<std::string()> text_;
  beast::flat_buffer buffer_{MetricsServer::kMaximumRequest};
  http::request_parser<http::empty_body> parser_;
  Answer answer_;
  std::unique_ptr<http::response_serializer<http::string_body>> serializer_;
};

}  // namespace

struct MetricsServer::Shared : std::enable_shared_from_this<MetricsServer::Shared> {
  Shared(asio::io_context& context, std::function<std::string()> t)
      : acceptor(context), pause(context), text(std::move(t)) {}

  void accept() {
    acceptor.async_accept([self = shared_from_this()](beast::error_code error, tcp::socket socket) {
      if (self->closed || error == asio::error::operation_aborted) return;
      if (error) return self->accept_later();  // out of descriptors: others may free some
      self->take(std::move(socket));
      self->accept();
    });
  }

  void accept_later() {
    pause.expires_after(kAcceptPause);
    pause.async_wait([self = shared_from_this()](beast::error_code) {
      if (!self->closed) self->accept();
    });
  }

  void take(tcp::socket socket) {
    if (*count >= kMaximumConnections) return;
    std::erase_if(exchanges, [](const auto& exchange) { return exchange.expired(); });
    auto exchange = std::make_shared<Exchange>(std::move(socket), count, [weak = weak_from_this()] {
      const auto self = weak.lock();
      return self && !self->closed ? self->text() : std::string();
    });
    exchanges.push_back(exchange);
    exchange->start();
  }

  tcp::acceptor acceptor;
  asio::steady_timer pause;
  std::function<std::string()> text;
  std::shared_ptr<std::size_t> count = std::make_shared<std::size_t>(0);
  std::vector<std::weak_ptr<Exchange>> exchanges;
  bool closed = false;
};

MetricsServer::MetricsServer(asio::io_context& context, OwnedFd listening, bool v4,
                             std::function<std::string()> text)
    : shared_(std::make_shared<Shared>(context, std::move(text))) {
  shared_->acceptor.assign(v4 ? tcp::v4() : tcp::v6(), listening.get());
  listening.release();
  shared_->acceptor.non_blocking(true);
  shared_->accept();
}

MetricsServer::~MetricsServer() {
  shared_->closed = true;
  beast::error_code ignored;
  shared_->acceptor.close(ignored);
  shared_->pause.cancel();
  for (const auto& exchange : shared_->exchanges)
    if (auto alive = exchange.lock()) alive->close();
}

std::size_t MetricsServer::connections() const {
  return *shared_->count;
}

}  // namespace i3
