#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdlib.h>

#include "dnsintercept/placement.hh"
#include "dnsintercept/resolver_config.hh"

using namespace i3;
namespace fs = std::filesystem;

namespace {

struct File {
  fs::path folder, path;
  File() {
    std::string pattern = (fs::temp_directory_path() / "i3-resolv-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()));
    folder = pattern;
    path = folder / "resolv.conf";
  }
  ~File() { fs::remove_all(folder); }
  void write(const std::string& text) const { std::ofstream(path) << text; }
  std::string read() const {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  PlacementRequest request() const {
    PlacementRequest request;
    request.mode = PlacementMode::resolv_conf;
    request.stub4 = IpAddress::parse("100.64.0.1");
    request.resolv_conf = path.string();
    return request;
  }
};

const std::string kOriginal = "search example\nnameserver 192.0.2.1\n# no newline at the end";

}  // namespace

TEST_CASE("the stub stands first while placed, and the file is the same afterwards") {
  const File file;
  file.write(kOriginal);
  fs::permissions(file.path, fs::perms(0640));
  Log log;
  {
    const auto placement = place(file.request(), log);
    CHECK(placement->mode() == PlacementMode::resolv_conf);
    CHECK(file.read().starts_with("nameserver 100.64.0.1 "));
    CHECK(file.read().ends_with(kOriginal));
    CHECK(parse_resolver_config(file.read()).nameservers ==
          std::vector<IpAddress>{*IpAddress::parse("192.0.2.1")});
  }
  CHECK(file.read() == kOriginal);
  CHECK(fs::status(file.path).permissions() == fs::perms(0640));
  CHECK(std::distance(fs::directory_iterator(file.folder), fs::directory_iterator{}) == 1);
}

TEST_CASE("what the user changed meanwhile stays; only our line goes") {
  const File file;
  file.write(kOriginal);
  Log log;
  auto placement = place(file.request(), log);
  file.write(file.read() + "\nnameserver 192.0.2.9\n");
  placement.reset();
  CHECK(file.read() == kOriginal + "\nnameserver 192.0.2.9\n");
  placement = place(file.request(), log);
  file.write("nameserver 192.0.2.10\n");
  placement.reset();
  CHECK(file.read() == "nameserver 192.0.2.10\n");
}

TEST_CASE("a symlink stays one, and clean-up removes what a killed process left") {
  const File file;
  const fs::path target = file.folder / "stub.conf";
  std::ofstream(target) << "nameserver 100.64.0.1 " << kResolvConfMarker
                        << "\nnameserver 192.0.2.1\n";
  fs::create_symlink("stub.conf", file.path);
  CHECK(cleanup_resolv_conf(file.path.string()));
  CHECK(fs::is_symlink(file.path));
  CHECK(file.read() == "nameserver 192.0.2.1\n");
  CHECK_FALSE(cleanup_resolv_conf(file.path.string()));
}

TEST_CASE("modes are named as the configuration writes them, and what cannot be done is said") {
  for (PlacementMode mode :
       {PlacementMode::automatic, PlacementMode::resolved, PlacementMode::redirect,
        PlacementMode::resolv_conf, PlacementMode::none})
    CHECK(placement_mode_from(name_of(mode)) == mode);
  CHECK_FALSE(placement_mode_from("resolv_conf"));
  Log log;
  PlacementRequest request;
  for (PlacementMode mode :
       {PlacementMode::resolved, PlacementMode::redirect, PlacementMode::resolv_conf}) {
    request.mode = mode;
    CHECK_THROWS_AS(place(request, log), std::runtime_error);
  }
  request.mode = PlacementMode::none;
  CHECK(place(request, log)->mode() == PlacementMode::none);
}
