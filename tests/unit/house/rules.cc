#include "tests/unit/house/rules.hh"

#include <algorithm>
#include <array>
#include <regex>
#include <sstream>

namespace i3::house {
namespace {

// Words in backticks, without a closing slash.
std::vector<std::string> quoted(const std::string& text) {
  static const std::regex kQuoted("`([^`]+)`");
  std::vector<std::string> out;
  for (std::sregex_iterator i(text.begin(), text.end(), kQuoted), end; i != end; ++i) {
    auto word = (*i)[1].str();
    while (word.ends_with('/')) word.pop_back();
    out.push_back(word);
  }
  return out;
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) out.push_back(cell);
  return out;
}

bool lies_below(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

bool is_driver(const Rules& rules, std::string_view path) {
  return std::any_of(rules.drivers.begin(), rules.drivers.end(),
                     [&](const auto& driver) { return lies_below(path, driver); });
}

// Headers by which a core would get at sockets, clocks, threads, files or chance by itself.
bool touches_the_world(const std::string& header) {
  static constexpr std::array<std::string_view, 5> kFolders{"boost/asio", "sys/", "linux/", "net/",
                                                            "systemd/"};
  static const std::set<std::string_view> kHeaders{"thread",   "mutex",   "random", "future",
                                                   "unistd.h", "fcntl.h", "poll.h", "fstream",
                                                   "signal.h", "csignal", "netdb.h"};
  return kHeaders.contains(header) ||
         std::any_of(kFolders.begin(), kFolders.end(),
                     [&](auto folder) { return header.starts_with(folder); });
}

std::string without_comment(const std::string& line) {
  return line.substr(0, line.find("//"));
}

}  // namespace

Rules read_rules(std::string_view design) {
  Rules rules;
  std::istringstream in{std::string(design)};
  bool table = false;
  bool drivers = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("| folder | owns | may use |")) {
      table = true;
    } else if (line.starts_with('#')) {
      table = false;
      drivers = line == "### Drivers";
    } else if (drivers && line.starts_with("- ")) {
      for (auto& path : quoted(line)) rules.drivers.insert(path);
    } else if (table && line.starts_with('|')) {
      auto row = cells(line);
      if (row.size() < 3) continue;
      auto folders = quoted(row[0]);
      if (folders.empty()) continue;
      auto uses = quoted(row[2]);
      rules.may_use[folders[0]].insert(uses.begin(), uses.end());
    }
  }
  return rules;
}

std::optional<std::string> folder_of(const Rules& rules, std::string_view path) {
  std::optional<std::string> best;
  for (const auto& [folder, uses] : rules.may_use) {
    if (lies_below(path, folder) && (!best || folder.size() > best->size())) best = folder;
  }
  return best;
}

std::vector<std::string> faults(const Rules& rules, const std::string& path,
                                std::string_view text) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  static const std::regex kWorld(
      R"(\b(system_clock|steady_clock|high_resolution_clock|random_device|getenv|sleep_for)\b)");
  std::vector<std::string> out;
  auto from = folder_of(rules, path);
  if (!from) return {path + ": its folder has no row in the table of docs/DESIGN.md"};
  const bool core = !is_driver(rules, path);
  std::istringstream in{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    auto place = path + ":" + std::to_string(++number) + ": ";
    auto code = without_comment(line);
    std::smatch match;
    if (std::regex_search(code, match, kInclude)) {
      auto header = match[2].str();
      auto to = match[1] == "\"" ? folder_of(rules, header) : std::nullopt;
      if (match[1] == "\"" && !to) out.push_back(place + header + " is in no folder of the table");
      if (to && *to != *from && !rules.may_use.at(*from).contains(*to)) {
        out.push_back(place + *from + " may not use " + *to);
      }
      if (core && match[1] == "<" && touches_the_world(header)) {
        out.push_back(place + "<" + header + "> is for drivers");
      }
    } else if (core && std::regex_search(code, match, kWorld)) {
      out.push_back(place + match[1].str() + " is for drivers");
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::vector<std::string>>> tests_of_rows(std::string_view text) {
  std::vector<std::pair<std::string, std::vector<std::string>>> result;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line(text.substr(at, end - at));
    at = end + 1;
    if (!line.starts_with("|")) {
      inside = false;
    } else if (line.ends_with("| test |")) {
      inside = true;
    } else if (inside && !line.starts_with("|---")) {
      const std::size_t cell = line.rfind('|', line.size() - 2);
      std::vector<std::string> names;
      for (std::size_t from = line.find('`', cell); from != std::string::npos;) {
        const std::size_t to = line.find('`', from + 1);
        if (to == std::string::npos) break;
        names.push_back(line.substr(from + 1, to - from - 1));
        from = line.find('`', to + 1);
      }
      result.push_back({line, names});
    }
  }
  return result;
}

std::vector<std::string> test_sentences(std::string_view source) {
  constexpr std::string_view kCase = "TEST_CASE(";
  std::vector<std::string> result;
  for (std::size_t at = source.find(kCase); at != source.npos; at = source.find(kCase, at)) {
    at += kCase.size();
    std::string sentence;
    bool quoted = false;
    for (; at < source.size() && (quoted || source[at] != ')'); ++at) {
      if (source[at] == '"')
        quoted = !quoted;
      else if (quoted)
        sentence += source[at];
    }
    result.push_back(sentence);
  }
  return result;
}

}  // namespace i3::house
