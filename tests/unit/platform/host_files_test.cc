#include "proxy/platform/host_files.hh"

#include <cerrno>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>

#include "proxy/platform/platform_error.hh"
#include "proxy/platform/sockets.hh"

using namespace i3;

namespace {

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "i3-files-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data())); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return path + "/" + name; }
};

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}
std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}
mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}
std::size_t entries(const std::string& path) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
}

}  // namespace

TEST_CASE("replacing a file keeps its mode and leaves nothing beside it") {
  Folder folder;
  write(folder / "book", "old");
  ::chmod((folder / "book").c_str(), 0640);
  CHECK(replace_file(folder / "book", "new") == "");
  CHECK(read(folder / "book") == "new");
  CHECK(mode_of(folder / "book") == 0640);
  CHECK(entries(folder.path) == 1);
}

TEST_CASE("a missing file is made, in an existing folder only") {
  Folder folder;
  CHECK(replace_file(folder / "book", "new") == "");
  CHECK(mode_of(folder / "book") == 0644);
  CHECK(replace_file(folder / "missing/book", "new") != "");
}

TEST_CASE("a symbolic link stays one, and the file behind it is replaced") {
  Folder folder;
  write(folder / "real", "old");
  std::filesystem::create_symlink("real", folder / "book");
  CHECK(replace_file(folder / "book", "new") == "");
  CHECK(read(folder / "real") == "new");
  CHECK(std::filesystem::is_symlink(folder / "book"));
}

TEST_CASE("a folder is neither read nor replaced, and a FIFO does not hold the reader up") {
  Folder folder;
  CHECK(replace_file(folder.path, "new") != "");
  CHECK_FALSE(open_for_reading(folder.path));
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK_FALSE(open_for_reading(folder / "fifo"));
  CHECK_FALSE(open_for_reading(folder / "missing"));
  CHECK(errno == ENOENT);
}

TEST_CASE("a file of more than 16 MiB is not read") {
  Folder folder;
  write(folder / "large", "");
  std::filesystem::resize_file(folder / "large", kMaximumFileSize);
  std::string text;
  UniqueFd fd = open_for_reading(folder / "large");
  CHECK(read_all(fd.get(), text));
  CHECK(text.size() == kMaximumFileSize);
  std::filesystem::resize_file(folder / "large", kMaximumFileSize + 1);
  CHECK_FALSE(read_all(fd.get(), text));
}

TEST_CASE("the state file is private, its folder is made, and a link in its place is refused") {
  Folder folder;
  REQUIRE(open_state_file(folder / "a/b/state"));
  CHECK(mode_of(folder / "a/b/state") == 0600);
  std::filesystem::create_symlink("a/b/state", folder / "link");
  CHECK_THROWS_AS(open_state_file(folder / "link"), PlatformError);
}

TEST_CASE("a control socket replaces a stale one, but neither a living one nor a file") {
  Folder folder;
  Log log;
  const std::string path = folder / "run/control";
  UniqueFd first = listen_control(path, "", "i3-proxy", log);
  CHECK(control_alive(path));
  CHECK(mode_of(path) == 0600);
  CHECK_THROWS_WITH_AS(listen_control(path, "", "i3-proxy", log),
                       doctest::Contains("another i3-proxy is running"), PlatformError);
  first.reset();
  CHECK_FALSE(control_alive(path));
  CHECK(listen_control(path, "", "i3-proxy", log));
  write(folder / "file", "precious");
  CHECK_THROWS_AS(listen_control(folder / "file", "", "i3-proxy", log), PlatformError);
  CHECK(read(folder / "file") == "precious");
}
