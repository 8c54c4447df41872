#include "gateways/middlebox/plugins/plugin_program.hh"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace i3::inspect {
namespace {

constexpr int kRetryMs = 200;
volatile std::sig_atomic_t ending = 0;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }
  bool send(Bytes bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR && ending == 0) continue;
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }

 private:
  int fd_;
};

int connected(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

// Until the middle-box is gone.
void serve(const PluginProgram& program, const Socket& socket, Sayings& sayings) {
  if (!socket.send(written(PluginHello{program.judges, program.name}))) return;
  PluginStream stream;
  std::array<std::uint8_t, 65536> buffer;
  while (ending == 0) {
    const ssize_t size = ::recv(socket.fd(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0 || !stream.add(Bytes(buffer).first(static_cast<std::size_t>(size)))) return;
    std::vector<std::uint8_t> answers;
    while (const auto message = stream.next()) {
      const auto* packet = std::get_if<PluginPacket>(&*message);
      if (packet == nullptr) return;
      const bool passes = program.packet(*packet);
      for (const auto& bytes :
           {sayings.take(), program.judges ? written(PluginVerdict{packet->number, !passes})
                                           : std::vector<std::uint8_t>()})
        answers.insert(answers.end(), bytes.begin(), bytes.end());
    }
    std::fflush(stdout);
    if (stream.broken() || !socket.send(answers)) return;
  }
}

}  // namespace

void Sayings::say(const std::string& text, bool alert) {
  if (text.empty()) return;
  const auto bytes = written(PluginText{alert, text});
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

int run_plugin(const PluginProgram& program, const std::string& path, Sayings& sayings) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    std::fprintf(stderr, "i3-%s: the socket's path is too long\n", program.name.c_str());
    return 2;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { ending = 1; };
  for (const int signal : {SIGTERM, SIGINT}) ::sigaction(signal, &action, nullptr);
  while (ending == 0) {
    const Socket socket(connected(path));
    if (socket.fd() >= 0) serve(program, socket, sayings);
    if (ending == 0) ::poll(nullptr, 0, kRetryMs);
  }
  return 0;
}

}  // namespace i3::inspect
