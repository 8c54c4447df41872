#include "overlay/base/key_file.hh"

#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

#include "temporary_folder.hh"

using namespace i3;
using i3::test::TemporaryFolder;

namespace {

std::string refusal(const std::string& path) {
  try {
    load_key(path);
  } catch (const KeyFileError& error) {
    return error.what();
  }
  return "accepted";
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), 0600);
}

}  // namespace

TEST_CASE("a key is made once, with its folders, mode 0600, one line, and read again") {
  TemporaryFolder folder;
  SeededRandom random(1);
  const std::string path = folder / "a/b/me.key";
  const auto made = load_or_create_key(path, random);
  CHECK(load_or_create_key(path, random)->key() == made->key());
  CHECK(load_key(path)->key() == made->key());
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777u) == 0600);
  CHECK(status.st_nlink == 1);
  CHECK(status.st_size == 53);
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "a/b"), {}) == 1);
}

TEST_CASE("a key that exists is never overwritten") {
  TemporaryFolder folder;
  SeededRandom random(1);
  const std::string path = folder / "k";
  const auto made = create_key(path, random);
  CHECK_THROWS_WITH_AS(create_key(path, random),
                       ("key file " + path +
                        ": exists already; it is not overwritten, choose "
                        "another name")
                           .c_str(),
                       KeyFileError);
  CHECK(load_key(path)->key() == made->key());
  ::unlink(path.c_str());
  REQUIRE(::symlink("/nonexistent", path.c_str()) == 0);
  CHECK_THROWS_AS(create_key(path, random), KeyFileError);
  CHECK_THROWS_AS(load_or_create_key(path, random), KeyFileError);
}

TEST_CASE("a key file that others may read, a link, or no plain file is refused with the remedy") {
  TemporaryFolder folder;
  SeededRandom random(1);
  const std::string path = folder / "k";
  create_key(path, random);
  ::chmod(path.c_str(), 0640);
  CHECK(refusal(path) == "key file " + path +
                             ": has mode 0640, others may read or change it; run: "
                             "chmod 0600 " +
                             path);
  ::chmod(path.c_str(), 0400);
  CHECK(refusal(path) == "accepted");
  const std::string link = folder / "link";
  REQUIRE(::symlink(path.c_str(), link.c_str()) == 0);
  CHECK(refusal(link) == "key file " + link + ": is a symbolic link; put the key itself there");
  const std::string second = folder / "second";
  REQUIRE(::link(path.c_str(), second.c_str()) == 0);
  CHECK(refusal(second) ==
        "key file " + second + ": has 2 names (hard links); keep one of them only");
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(refusal(pipe) ==
        "key file " + pipe + ": is no regular file; put the key into a plain file");
  CHECK(refusal(folder / "none") == "key file " + (folder / "none") +
                                        ": does not exist; make one with: i3-ctl keygen " +
                                        (folder / "none"));
  CHECK(refusal(path + "/x").ends_with("cannot be opened: Not a directory"));
}

TEST_CASE("a key file of another user is refused" * doctest::skip(::geteuid() != 0)) {
  TemporaryFolder folder;
  SeededRandom random(1);
  const std::string path = folder / "k";
  create_key(path, random);
  REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
  CHECK(refusal(path) == "key file " + path +
                             ": belongs to user 65534, not to the daemon's user or "
                             "root; run: chown 0 " +
                             path);
}

TEST_CASE("content that is no key is refused: empty, short, long, wrong alphabet, spare bits") {
  TemporaryFolder folder;
  const std::string path = folder / "k";
  const std::string good(52, 'a');
  write(path, good + '\n');
  CHECK(refusal(path) == "accepted");
  write(path, good);
  CHECK(refusal(path) == "accepted");
  for (const std::string& wrong :
       {std::string(), good.substr(1), good + "a", good + "\n\n", std::string(52, 'A'),
        std::string(51, 'a') + 'b', std::string(100000, 'a')}) {
    write(path, wrong);
    CHECK(refusal(path).starts_with("key file " + path + ": holds no key"));
  }
}
