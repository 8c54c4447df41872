#include "dnsintercept/resolver_watch.hh"

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>
#include <filesystem>
#include <set>
#include <sys/inotify.h>
#include <unistd.h>

namespace i3 {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {
// A file that is being rewritten is empty for a moment; it is read once it has been quiet.
constexpr std::chrono::milliseconds kQuiet{50};
constexpr std::chrono::seconds kLook{5};
constexpr std::uint32_t kFileEvents =
    IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF;
constexpr std::uint32_t kFolderEvents = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
}  // namespace

class ResolverWatch::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, std::string path, std::function<void(const ResolverConfig&)> changed)
      : path_(std::move(path)),
        changed_(std::move(changed)),
        inotify_(io),
        timer_(io),
        config_(read_resolver_config(path_)) {}

  void start() {
    if (const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC); descriptor >= 0) {
      inotify_.assign(descriptor);
      watch();
      wait();
    }
    look_in(kLook);
  }

  void stop() {
    stopped_ = true;
    error_code ignored;
    inotify_.close(ignored);
    timer_.cancel(ignored);
  }

  const ResolverConfig& current() const { return config_; }

 private:
  // The file, its folder, and where its symlink leads. Watching the same place twice is one watch.
  void watch() {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const fs::path given(path_), target = fs::weakly_canonical(given, ignored);
    std::set<int> wanted;
    const auto add = [&](const fs::path& place, std::uint32_t events) {
      const int number = ::inotify_add_watch(inotify_.native_handle(), place.c_str(), events);
      if (number >= 0) wanted.insert(number);
    };
    add(given.parent_path(), kFolderEvents);
    if (!target.empty() && target != given) add(target.parent_path(), kFolderEvents);
    add(given, kFileEvents);
    for (int number : watches_)
      if (!wanted.contains(number)) ::inotify_rm_watch(inotify_.native_handle(), number);
    watches_ = std::move(wanted);
  }

  void wait() {
    inotify_.async_wait(
        asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](error_code error) {
          if (error || self->stopped_) return;
          std::array<char, 4096> events;  // only their arrival matters
          while (::read(self->inotify_.native_handle(), events.data(), events.size()) > 0) {
          }
          self->look_in(kQuiet);
          self->wait();
        });
  }

  void look_in(std::chrono::milliseconds delay) {
    timer_.expires_after(delay);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->stopped_) return;
      self->look_in(kLook);
      if (self->inotify_.is_open()) self->watch();
      ResolverConfig now = read_resolver_config(self->path_);
      if (now == self->config_) return;
      self->config_ = std::move(now);
      self->changed_(self->config_);
    });
  }

  std::string path_;
  std::function<void(const ResolverConfig&)> changed_;
  asio::posix::stream_descriptor inotify_;
  asio::steady_timer timer_;
  ResolverConfig config_;
  std::set<int> watches_;
  bool stopped_ = false;
};

ResolverWatch::ResolverWatch(asio::io_context& io, std::string path,
                             std::function<void(const ResolverConfig&)> changed)
    : impl_(std::make_shared<Impl>(io, std::move(path), std::move(changed))) {
  impl_->start();
}

ResolverWatch::~ResolverWatch() {
  impl_->stop();
}

const ResolverConfig& ResolverWatch::current() const {
  return impl_->current();
}

}  // namespace i3
