#include "proxy/daemon/state_file.hh"

#include <sys/stat.h>
#include <unistd.h>

#include "proxy/platform/host_files.hh"

namespace i3 {

StateFile::StateFile(UniqueFd fd, std::string path, Broker& broker, Log& log)
    : fd_(std::move(fd)), path_(std::move(path)), broker_(broker), log_(log) {}

std::string StateFile::read() {
  std::string text;
  if (!fd_ || !read_all(fd_.get(), text)) return {};
  size_ = rewritten_ = text.size();
  return text;
}

void StateFile::append(const std::string& line) {
  if (!fd_) return;
  const std::string whole = line + '\n';
  const ssize_t written =
      ::pwrite(fd_.get(), whole.data(), whole.size(), static_cast<off_t>(size_));
  if (written > 0) size_ += static_cast<std::size_t>(written);
}

void StateFile::rewrite(const std::string& text) {
  if (!fd_) return;
  if (BrokerReply reply = broker_.replace_file(path_, text); !reply.ok()) {
    log_.warning("state_not_written", {{"file", path_}, {"reason", reply.text}});
    rewritten_ = size_;  // tried again when it has doubled
    return;
  }
  BrokerReply reply = broker_.open_state();
  if (!reply.ok()) return;
  fd_ = std::move(reply.fd);
  size_ = rewritten_ = text.size();
}

}  // namespace i3
