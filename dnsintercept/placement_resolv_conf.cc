// Owns our lines in resolv.conf. Only for who asks for it by name: a killed process leaves them
// behind until cleanup_resolv_conf().
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

#include "dnsintercept/placement_modes.hh"
#include "dnsintercept/resolver_config.hh"

namespace i3 {
namespace {

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

// Beside the file and renamed, so that no reader sees half of it; in place where the file is a
// mount of its own (containers) and cannot be replaced.
void replace(const std::string& path, std::string_view text) {
  struct stat old {};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  const std::string beside = path + ".i3-new";
  int descriptor =
      ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor >= 0) {
    bool good = write_all(descriptor, text);
    if (exists)
      good = good && ::fchmod(descriptor, old.st_mode & 07777) == 0 &&
             ::fchown(descriptor, old.st_uid, old.st_gid) == 0;
    good = ::fsync(descriptor) == 0 && good;
    ::close(descriptor);
    if (good && ::rename(beside.c_str(), path.c_str()) == 0) return;
    ::unlink(beside.c_str());
  }
  descriptor = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  const bool good = descriptor >= 0 && write_all(descriptor, text);
  const std::string reason = std::strerror(errno);
  if (descriptor >= 0) ::close(descriptor);
  if (!good) throw std::runtime_error(path + " cannot be written: " + reason);
}

std::string without_our_lines(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end);
    if (line.find(kResolvConfMarker) == line.npos) result += line;
    text.remove_prefix(end);
  }
  return result;
}

// resolv.conf is often a symlink; what it points to is what gets changed.
std::string target_of(const std::string& path) {
  std::error_code error;
  const auto target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

class ResolvConf final : public Placement {
 public:
  ResolvConf(const PlacementRequest& request, Log& log)
      : log_(log), path_(target_of(request.resolv_conf)) {
    original_ = without_our_lines(read_all(path_));
    for (const auto& stub : {request.stub4, request.stub6})
      if (stub)
        written_ += "nameserver " + stub->text() + " " + std::string(kResolvConfMarker) + "\n";
    written_ += original_;
    replace(path_, written_);
    log_.info("dns.resolv_conf", {{"path", path_}});
  }
  // What the user changed meanwhile stays; only our lines go.
  ~ResolvConf() override {
    const std::string now = read_all(path_);
    const std::string wanted = now == written_ ? original_ : without_our_lines(now);
    if (wanted == now) return;
    try {
      replace(path_, wanted);
    } catch (const std::runtime_error& error) {
      log_.error("dns.resolv_conf_left", {{"path", path_}, {"reason", error.what()}});
    }
  }

  PlacementMode mode() const override { return PlacementMode::resolv_conf; }
  std::string description() const override {
    return "i3 stands first in " + path_ + "; a crash would leave that line behind";
  }
  void update(const std::vector<IpAddress>&) override {}

 private:
  Log& log_;
  std::string path_, original_, written_;
};

}  // namespace

bool cleanup_resolv_conf(const std::string& path) {
  const std::string target = target_of(path);
  const std::string now = read_all(target);
  const std::string wanted = without_our_lines(now);
  if (wanted == now) return false;
  replace(target, wanted);
  return true;
}

std::unique_ptr<Placement> place_resolv_conf(const PlacementRequest& request, Log& log) {
  if (!request.stub4 && !request.stub6)
    throw std::runtime_error("resolv.conf needs the stub's address");
  return std::make_unique<ResolvConf>(request, log);
}

}  // namespace i3
