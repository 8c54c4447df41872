#include "dnsintercept/resolver_config.hh"

#include <algorithm>
#include <fstream>

namespace i3 {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::size_t kMaxSearch = 32;

std::string_view next_word(std::string_view& line) {
  const std::size_t begin = line.find_first_not_of(kBlanks);
  if (begin == line.npos) return line = {};
  const std::size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

void read_nameserver(std::string_view word, ResolverConfig& config) {
  const auto address = IpAddress::parse(word);
  if (!address || address->unspecified()) {
    if (word.find('%') != word.npos && config.skipped.size() < kMaxNameservers)
      config.skipped.emplace_back(word);
    return;
  }
  auto& known = config.nameservers;
  if (known.size() < kMaxNameservers &&
      std::find(known.begin(), known.end(), *address) == known.end())
    known.push_back(*address);
}

void read_line(std::string_view line, ResolverConfig& config) {
  if (line.find(kResolvConfMarker) != line.npos) return;
  line = line.substr(0, line.find_first_of("#;"));
  const std::string_view keyword = next_word(line);
  if (keyword == "nameserver") {
    read_nameserver(next_word(line), config);
  } else if (keyword == "search" || keyword == "domain") {
    config.search.clear();  // the last line counts, resolv.conf(5)
    for (auto word = next_word(line); !word.empty() && config.search.size() < kMaxSearch;
         word = next_word(line))
      config.search.emplace_back(word);
  }
}

}  // namespace

ResolverConfig parse_resolver_config(std::string_view text) {
  text = text.substr(0, kMaxResolverConfig);
  ResolverConfig config;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    read_line(text.substr(0, end), config);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return config;
}

std::vector<Endpoint> upstreams_of(const ResolverConfig& config,
                                   const std::vector<IpAddress>& own) {
  std::vector<Endpoint> result;
  for (const IpAddress& server : config.nameservers)
    if (std::find(own.begin(), own.end(), server) == own.end()) result.push_back({server, 53});
  return result;
}

ResolverConfig read_resolver_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxResolverConfig, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return parse_resolver_config(text);
}

}  // namespace i3
