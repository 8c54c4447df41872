#include "proxy/daemon/joined_groups.hh"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "proxy/packet/ip_packet.hh"

namespace i3 {
namespace {

constexpr auto kReadEvery = std::chrono::seconds(2);
constexpr auto kAfterReport = std::chrono::milliseconds(20);

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t begin = line.find_first_not_of(" \t:", at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(line.find_first_of(" \t:", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    at = end;
  }
  return words;
}

void each_line(std::string_view text, const std::function<void(std::string_view)>& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

template <class Number>
bool from_hex(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return error == std::errc() && end == text.data() + text.size();
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

// A line for each interface, and below it, set in, one for each group as a number of this machine.
std::vector<IpAddress> joined_v4(std::string_view table, std::string_view interface) {
  std::vector<IpAddress> joined;
  bool here = false;
  each_line(table, [&](std::string_view line) {
    const auto words = fields_of(line);
    if (words.size() < 2) return;
    if (line.front() != ' ' && line.front() != '\t') {
      here = words[1] == interface;
      return;
    }
    std::uint32_t number = 0;
    if (!here || words[0].size() != 8 || !from_hex(words[0], number)) return;
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &number, bytes.size());
    joined.push_back(IpAddress::v4(Reader(bytes).u32()));
  });
  return joined;
}

// index, interface, 32 digits, ...
std::vector<IpAddress> joined_v6(std::string_view table, std::string_view interface) {
  std::vector<IpAddress> joined;
  each_line(table, [&](std::string_view line) {
    const auto words = fields_of(line);
    if (words.size() < 3 || words[1] != interface || words[2].size() != 32) return;
    std::array<std::uint8_t, 16> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      if (!from_hex(words[2].substr(2 * i, 2), bytes[i])) return;
    joined.push_back(IpAddress::v6(bytes));
  });
  return joined;
}

bool is_membership_report(Bytes packet) {
  constexpr std::uint8_t kIgmp = 2, kReport = 131, kDone = 132, kReport2 = 143;
  // Reports go to groups: of any other packet a byte is enough.
  if (packet.size() < 28) return false;
  const bool v4 = (load8(packet, 0) >> 4) == 4;
  if (v4 ? (load8(packet, 16) >> 4) != 0xe : load8(packet, 24) != 0xff) return false;
  const auto headers = IpHeaders::walk(packet);
  if (!headers) return false;
  if (headers->family == Family::v4) return headers->protocol == kIgmp;
  const std::uint8_t type = load8(packet, headers->transport);
  return headers->protocol == ip_protocol::kIcmp6 &&
         (type == kReport || type == kDone || type == kReport2);
}

JoinedGroups::JoinedGroups(boost::asio::io_context& io, std::string interface,
                           std::function<void(const std::vector<IpAddress>&)> changed)
    : interface_(std::move(interface)), changed_(std::move(changed)), timer_(io) {}

void JoinedGroups::watch(bool on) {
  if (on == on_) return;
  on_ = on;
  if (on)
    read();
  else
    timer_.cancel();
}

void JoinedGroups::reported() {
  if (on_) arm(kAfterReport);
}

void JoinedGroups::read() {
  std::vector<IpAddress> joined = joined_v4(text_of("/proc/net/igmp"), interface_);
  const std::vector<IpAddress> more = joined_v6(text_of("/proc/net/igmp6"), interface_);
  joined.insert(joined.end(), more.begin(), more.end());
  std::sort(joined.begin(), joined.end());
  if (joined != joined_) {
    joined_ = joined;
    changed_(joined_);
  }
  arm(kReadEvery);
}

void JoinedGroups::arm(std::chrono::milliseconds after) {
  timer_.expires_after(after);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && on_) read();
  });
}

}  // namespace i3
