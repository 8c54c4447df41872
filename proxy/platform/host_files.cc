#include "proxy/platform/host_files.hh"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/types.h>

#include "proxy/platform/platform_error.hh"

namespace i3 {
namespace {

std::string folder_of(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string reason(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

bool write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t size = ::write(fd, text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    done += static_cast<std::size_t>(size);
  }
  return true;
}

// The file behind links; where there is none yet, the path itself.
std::string resolved(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? real.get() : path;
}

}  // namespace

void make_folder_of(const std::string& path) {
  std::string folder = folder_of(path);
  for (std::size_t end = 1; end != std::string::npos;) {
    end = folder.find('/', end + 1);
    std::string part = folder.substr(0, end);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST)
      throw system_error("cannot make the folder " + part, errno);
  }
}

UniqueFd open_for_reading(const std::string& path) {
  // O_NONBLOCK: the name may have become a FIFO, which must not hold the parent up.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) return {};
  if (!S_ISREG(status.st_mode)) {
    errno = EINVAL;
    return {};
  }
  return fd;
}

UniqueFd open_state_file(const std::string& path) {
  make_folder_of(path);
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) throw system_error("cannot open the state file " + path, errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
    throw PlatformError("the state file " + path + " is not a regular file");
  return fd;
}

std::string replace_file(const std::string& path, const std::string& text) {
  const std::string target = resolved(path);
  struct stat old {};
  bool existed = ::stat(target.c_str(), &old) == 0;
  if (!existed && errno != ENOENT) return reason(target);
  if (existed && !S_ISREG(old.st_mode)) return target + " is not a regular file";

  std::string fresh = target + ".XXXXXX";
  UniqueFd fd(::mkostemp(fresh.data(), O_CLOEXEC));
  if (!fd) return reason("cannot write in " + folder_of(target));
  mode_t mode = existed ? old.st_mode & 07777 : 0644;
  bool good = write_all(fd.get(), text) &&
              (!existed || ::fchown(fd.get(), old.st_uid, old.st_gid) == 0) &&
              ::fchmod(fd.get(), mode) == 0 && ::fsync(fd.get()) == 0 &&
              ::rename(fresh.c_str(), target.c_str()) == 0;
  if (!good) {
    std::string why = reason("cannot replace " + target);
    ::unlink(fresh.c_str());
    return why;
  }
  UniqueFd folder(::open(folder_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.get());
  return {};
}

bool read_all(int fd, std::string& text) {
  text.clear();
  char block[65536];
  for (;;) {
    ssize_t size = ::pread(fd, block, sizeof block, static_cast<off_t>(text.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    if (size == 0) return true;
    text.append(block, static_cast<std::size_t>(size));
    if (text.size() > kMaximumFileSize) {
      errno = EFBIG;
      return false;
    }
  }
}

}  // namespace i3
