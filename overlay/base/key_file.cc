#include "overlay/base/key_file.hh"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sodium.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace i3 {
namespace {

constexpr std::size_t kTextSize = 52;

// Closed, and its content wiped, whatever happens.
struct OpenFile {
  int fd = -1;
  char text[kTextSize + 2] = {};
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
    sodium_memzero(text, sizeof text);
  }
};

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw KeyFileError("key file " + path + ": " + what);
}

[[noreturn]] void fail_errno(const std::string& path, const std::string& what) {
  fail(path, what + ": " + std::strerror(errno));
}

void check_file(const std::string& path, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(path, "cannot be examined");
  if (!S_ISREG(status.st_mode)) fail(path, "is no regular file; put the key into a plain file");
  if ((status.st_mode & 0177) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", status.st_mode & 07777u);
    fail(path, std::string("has mode ") + mode +
                   ", others may read or change it; run: chmod 0600 " + path);
  }
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    fail(path, "belongs to user " + std::to_string(status.st_uid) +
                   ", not to the daemon's user or root; run: chown " + std::to_string(::geteuid()) +
                   ' ' + path);
  if (status.st_nlink != 1)
    fail(path,
         "has " + std::to_string(status.st_nlink) + " names (hard links); keep one of them only");
}

std::unique_ptr<Identity> read_key(const std::string& path, OpenFile& file) {
  check_file(path, file.fd);
  std::size_t size = 0;
  while (size < sizeof file.text) {
    const ssize_t got = ::read(file.fd, file.text + size, sizeof file.text - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(path, "cannot be read");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  std::string_view line(file.text, size);
  if (line.ends_with('\n')) line.remove_suffix(1);
  auto bytes = from_base32(line);
  if (line.size() != kTextSize || !bytes || bytes->size() != Identity::kSeedSize)
    fail(path,
         "holds no key (one line of 52 characters of a-z and 2-7); restore it from a copy, "
         "or remove it to let a new identity be made");
  std::array<std::uint8_t, Identity::kSeedSize> seed{};
  std::copy(bytes->begin(), bytes->end(), seed.begin());
  auto identity = std::make_unique<Identity>(seed);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(bytes->data(), bytes->size());
  return identity;
}

// Opens without following a link at the end of the path; false if nothing is there.
bool open_key(const std::string& path, OpenFile& file) {
  file.fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file.fd >= 0) return true;
  if (errno == ENOENT) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return false;
  }
  if (errno == ELOOP) fail(path, "is a symbolic link; put the key itself there");
  fail_errno(path, "cannot be opened");
}

void write_all(const std::string& path, int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail_errno(path, "cannot be written");
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (::fsync(fd) != 0) fail_errno(path, "cannot be written");
}

// Makes the name durable; without it a crash could lose the identity that others already know.
void sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::unique_ptr<Identity> load_key(const std::string& path) {
  OpenFile file;
  if (!open_key(path, file)) fail(path, "does not exist; make one with: i3-ctl keygen " + path);
  return read_key(path, file);
}

std::unique_ptr<Identity> create_key(const std::string& path, Random& random) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(path, "its folder cannot be made: " + error.message());

  auto identity = Identity::generate(random);
  auto seed = identity->seed();
  std::string text = base32(seed) + '\n';
  // Written under another name and linked, so that a crash leaves a whole key or none, and an
  // existing file is never replaced.
  const std::string draft = path + ".new." + std::to_string(::getpid());
  OpenFile file;
  file.fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file.fd < 0) fail_errno(path, "cannot be made");
  const auto wipe = [&] {
    ::unlink(draft.c_str());
    sodium_memzero(text.data(), text.size());
    sodium_memzero(seed.data(), seed.size());
  };
  try {
    if (::fchmod(file.fd, 0600) != 0) fail_errno(path, "cannot be made");
    write_all(path, file.fd, text);
    if (::link(draft.c_str(), path.c_str()) != 0) {
      if (errno == EEXIST) fail(path, "exists already; it is not overwritten, choose another name");
      fail_errno(path, "cannot be made");
    }
  } catch (...) {
    wipe();
    throw;
  }
  wipe();
  sync_folder(folder);
  return identity;
}

std::unique_ptr<Identity> load_or_create_key(const std::string& path, Random& random) {
  OpenFile file;
  if (open_key(path, file)) return read_key(path, file);
  return create_key(path, random);
}

}  // namespace i3
