#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "tests/unit/house/rules.hh"

namespace fs = std::filesystem;
using namespace i3::house;

namespace {

const fs::path kTree = I3_TREE;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Every source file of the product: all folders of the tree but the tests and what builds leave.
std::vector<fs::path> sources() {
  std::vector<fs::path> out;
  for (const auto& top : fs::directory_iterator(kTree)) {
    auto name = top.path().filename().string();
    if (!top.is_directory() || name.starts_with(".") || name.starts_with("build") ||
        name == "tests" || name == "docs")
      continue;
    for (const auto& entry : fs::recursive_directory_iterator(top.path())) {
      auto kind = entry.path().extension();
      if (kind == ".hh" || kind == ".cc" || kind == ".h" || kind == ".c")
        out.push_back(entry.path());
    }
  }
  return out;
}

const char* kSmallTable =
    "| folder | owns | may use |\n"
    "|---|---|---|\n"
    "| `low/` | things | nothing of ours |\n"
    "| `high/` | more | `low` |\n"
    "| `high/own/` | apart | |\n"
    "### Drivers\n"
    "- `low/socket.cc`: the socket\n"
    "## Next\n"
    "- `high/none.cc`\n";

}  // namespace

TEST_CASE(
    "every include goes in a direction that docs/DESIGN.md allows, and cores leave the world "
    "alone") {
  auto rules = read_rules(text_of(kTree / "docs/DESIGN.md"));
  REQUIRE(rules.may_use.size() > 10);
  REQUIRE(rules.drivers.size() > 3);
  auto files = sources();
  REQUIRE(files.size() > 50);
  for (const auto& file : files) {
    auto path = fs::relative(file, kTree).string();
    for (const auto& fault : faults(rules, path, text_of(file))) FAIL_CHECK(fault);
  }
}

TEST_CASE("every driver and every folder that docs/DESIGN.md names is there") {
  auto rules = read_rules(text_of(kTree / "docs/DESIGN.md"));
  for (const auto& driver : rules.drivers) CHECK_MESSAGE(fs::exists(kTree / driver), driver);
  for (const auto& [folder, uses] : rules.may_use) {
    CHECK_MESSAGE(fs::exists(kTree / folder), folder);
    for (const auto& use : uses)
      CHECK_MESSAGE(rules.may_use.contains(use), folder << " may use " << use);
  }
}

TEST_CASE("every line of docs/SECURITY.md names tests that exist") {
  std::set<std::string> sentences;
  for (const auto& entry : fs::recursive_directory_iterator(kTree / "tests"))
    if (entry.path().extension() == ".cc")
      for (auto& sentence : test_sentences(text_of(entry.path()))) sentences.insert(sentence);
  REQUIRE(sentences.size() > 200);
  const auto rows = tests_of_rows(text_of(kTree / "docs/SECURITY.md"));
  REQUIRE(rows.size() > 40);
  for (const auto& [row, names] : rows) {
    CHECK_MESSAGE(!names.empty(), "no test: " << row);
    for (const auto& name : names) {
      const bool file = name.starts_with("tests/") && fs::exists(kTree / name);
      CHECK_MESSAGE((file || sentences.contains(name)), "no such test: " << name);
    }
  }
}

TEST_CASE("a row without a test, and a test that is not there, are seen") {
  const auto rows = tests_of_rows(
      "| attack | test |\n|---|---|\n| a `b` | `one`, `two` |\n| c | |\n\n| x | y |\n");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].second == std::vector<std::string>{"one", "two"});
  CHECK(rows[1].second.empty());
  const auto sentences =
      test_sentences("TEST_CASE(\"a\") {}\nTEST_CASE(\n    \"b \"\n    \"c\") {}");
  CHECK(sentences == std::vector<std::string>{"a", "b c"});
}

TEST_CASE("files of more than 500 lines are named") {
  for (const auto& file : sources()) {
    auto text = text_of(file);
    auto lines = std::count(text.begin(), text.end(), '\n');
    if (lines > 500)
      std::cout << "long file: " << fs::relative(file, kTree).string() << " has " << lines
                << " lines\n";
  }
}

TEST_CASE("an include upwards is a fault") {
  auto rules = read_rules(kSmallTable);
  CHECK(faults(rules, "high/a.cc", "#include \"low/b.hh\"\n").empty());
  CHECK(faults(rules, "low/a.cc", "#include \"low/b.hh\"\n").empty());
  auto found = faults(rules, "low/a.cc", "\n#include \"high/b.hh\"\n");
  REQUIRE(found.size() == 1);
  CHECK(found[0] == "low/a.cc:2: low may not use high");
}

TEST_CASE("a folder with a row of its own does not share its parent's permissions") {
  auto rules = read_rules(kSmallTable);
  CHECK(faults(rules, "high/own/a.cc", "#include \"low/b.hh\"\n").size() == 1);
  CHECK(faults(rules, "high/sub/a.cc", "#include \"low/b.hh\"\n").empty());
  CHECK(faults(rules, "other/a.cc", "").size() == 1);
}

TEST_CASE("a core that includes a socket, a clock or chance is at fault, a driver is not") {
  auto rules = read_rules(kSmallTable);
  CHECK(faults(rules, "low/a.cc", "#include <sys/socket.h>\n").size() == 1);
  CHECK(faults(rules, "low/a.cc", "#include <boost/asio/ip/udp.hpp>\n").size() == 1);
  CHECK(faults(rules, "low/a.cc", "#include <random>\n").size() == 1);
  CHECK(faults(rules, "low/a.cc", "auto t = std::chrono::system_clock::now();\n").size() == 1);
  CHECK(faults(rules, "low/a.cc", "// not by system_clock\n").empty());
  CHECK(faults(rules, "low/a.cc", "#include <vector>\n").empty());
  CHECK(faults(rules, "low/socket.cc", "#include <sys/socket.h>\n").empty());
  CHECK(faults(rules, "high/none.cc", "#include <sys/socket.h>\n").size() == 1);
}
