// Memory that only the start needed.
#include "proxy/platform/resident.hh"

#include <doctest/doctest.h>
#include <fstream>
#include <string>

using namespace i3;

namespace {

// Kilobytes of this process's memory that are a file's.
std::size_t from_files() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "RssFile:") {
      std::size_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes;
    }
  return 0;
}

}  // namespace

TEST_CASE("pages of code are given back, and come back when they are used") {
  const std::size_t before = from_files();
  REQUIRE(before > 0);
  CHECK(give_back_code() > 0);
  // This very test, doctest and the C library go on.
  CHECK(from_files() < before);
  CHECK(give_back_code() > 0);
}
