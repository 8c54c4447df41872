// What settings mean to a node, and what it keeps between its lives.
#include "overlay/node/node_settings.hh"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

using namespace i3;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "i3-node-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

NodeSettings options(std::vector<std::string> listen, std::vector<std::string> advertise = {},
                     std::vector<std::string> join = {}) {
  NodeOptions typed;
  typed.listen = std::move(listen);
  typed.advertise = std::move(advertise);
  typed.join = std::move(join);
  return node_settings_from(typed);
}

}  // namespace

TEST_CASE("a specific listening address is what others are told") {
  const auto core = core_settings(options({"192.0.2.1:5100"}));
  CHECK(core.contact.v4 == Endpoint::parse("192.0.2.1:5100"));
  CHECK(!core.contact.v6);
}

TEST_CASE("listening everywhere with nobody to ask needs an advertised address, and says so") {
  try {
    core_settings(options({"0.0.0.0:5100"}));
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()).find("--advertise") != std::string::npos);
  }
  CHECK(!core_settings(options({"0.0.0.0:5100"}, {}, {"192.0.2.9:5100"})).contact.v4);
}

TEST_CASE("one address of each family makes one contact; two of a family are refused") {
  const auto core = core_settings(
      options({"0.0.0.0:5100", "[::]:5100"}, {"192.0.2.1:5100", "[2001:db8::1]:5100"}));
  CHECK(core.contact.v4 == Endpoint::parse("192.0.2.1:5100"));
  CHECK(core.contact.v6 == Endpoint::parse("[2001:db8::1]:5100"));
  CHECK_THROWS_AS(core_settings(options({"192.0.2.1:5100", "192.0.2.2:5100"})), ConfigError);
}

TEST_CASE("each life takes the next of eight places, and a damaged file the first") {
  Folder folder;
  const std::string file = folder.file("sub/node.state");
  std::string problem;
  for (unsigned life = 0; life < 20; ++life) CHECK(next_place(file, problem) == life % 8);
  CHECK(problem.empty());
  std::ofstream(file) << "k 99999999999\n";
  CHECK(next_place(file, problem) == 0);
}

TEST_CASE("a membership is read from beside the key as it was issued") {
  Folder folder;
  SeededRandom random(1);
  const auto boss = Identity::generate(random), node = Identity::generate(random);
  const auto membership = wire::Membership::issue(*boss, node->key(), 5);
  CHECK(!read_membership(folder.file("node.key")));
  std::ofstream(folder.file("node.key.membership")) << membership_text(membership) << '\n';
  CHECK(read_membership(folder.file("node.key")) == membership);
  std::ofstream(folder.file("bad.key.membership")) << "nonsense\n";
  CHECK_THROWS_AS(read_membership(folder.file("bad.key")), ConfigError);
}
