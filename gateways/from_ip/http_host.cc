// 1 the request line  2 the fields, line by line  3 the end of the head
#include <algorithm>
#include <optional>

#include "gateways/from_ip/first_bytes.hh"

namespace i3 {
namespace {

constexpr std::size_t kMaxMethod = 32;
constexpr std::size_t kMaxName = 253;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_token(char c) {  // RFC 9110 5.6.2
  return is_alphanumeric(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
bool equal_but_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char l, char r) { return lower(l) == lower(r); });
}
std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

FirstBytes plain(FirstBytes::State state) {
  FirstBytes result;
  result.state = state;
  return result;
}

// A line and what follows it. Servers take a bare line feed too (RFC 9112 2.2).
std::optional<std::string_view> next_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  if (end == rest.npos) return std::nullopt;
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// What the part of a line that has arrived shows already: no method has such characters.
bool may_begin_request(std::string_view line) {
  const std::string_view method = line.substr(0, line.find(' '));
  return method.size() <= kMaxMethod && std::all_of(method.begin(), method.end(), is_token);
}

// The request line's authority, empty for a path; nothing if it is no request line.
std::optional<std::string_view> target_authority(std::string_view line) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == 0 || first == last || !may_begin_request(line))
    return std::nullopt;
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0" && version != "HTTP/2.0") return std::nullopt;
  if (target.empty() || target.find(' ') != target.npos) return std::nullopt;
  if (method == "CONNECT") return target;
  if (target.starts_with('/')) return std::string_view{};
  const std::size_t scheme = target.find("://");
  if (scheme == target.npos) return std::string_view{};
  target.remove_prefix(scheme + 3);
  target = target.substr(0, target.find_first_of("/?#"));
  return target.substr(target.rfind('@') == target.npos ? 0 : target.rfind('@') + 1);
}

// "Name: value" as (name, value); nothing for what is no field.
std::optional<std::pair<std::string_view, std::string_view>> field_of(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos || colon == 0) return std::nullopt;
  const std::string_view name = line.substr(0, colon);
  if (!std::all_of(name.begin(), name.end(), is_token)) return std::nullopt;
  return std::pair{name, trimmed(line.substr(colon + 1))};
}

FirstBytes finished(std::string name) {
  FirstBytes result = plain(name.empty() ? FirstBytes::State::nameless : FirstBytes::State::named);
  result.name = std::move(name);
  return result;
}

}  // namespace

std::string host_of_authority(std::string_view authority) {
  if (const std::size_t colon = authority.rfind(':'); colon != authority.npos) {
    const std::string_view port = authority.substr(colon + 1);
    if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return {};
    authority = authority.substr(0, colon);
  }
  if (authority.ends_with('.')) authority.remove_suffix(1);
  if (authority.empty() || authority.size() > kMaxName) return {};
  std::string name;
  for (const char c : authority) {
    const bool dot = c == '.';
    if (!is_alphanumeric(c) && c != '-' && c != '_' && !dot) return {};
    if (dot && (name.empty() || name.back() == '.')) return {};
    name += lower(c);
  }
  return name;
}

bool http_host_may_show(Bytes stream, std::size_t before) {
  if (stream.size() >= kMaxFirstBytes) return true;
  std::string_view known = as_text(stream.first(before));
  while (known.starts_with('\r') || known.starts_with('\n')) known.remove_prefix(1);
  if (known.find('\n') == known.npos) return true;  // the request line was not whole
  const std::string_view fresh = as_text(stream.subspan(before - std::min<std::size_t>(before, 2)));
  return fresh.find("\n\n") != fresh.npos || fresh.find("\n\r\n") != fresh.npos;
}

FirstBytes read_http_host(Bytes stream) {
  if (stream.size() > kMaxFirstBytes) stream = stream.first(kMaxFirstBytes);
  const bool full = stream.size() == kMaxFirstBytes;
  std::string_view rest = as_text(stream);
  // RFC 9112 2.2: an empty line or two before the request are ignored.
  while (rest.starts_with('\r') || rest.starts_with('\n')) rest.remove_prefix(1);
  const std::string_view begin = rest;
  const auto request = next_line(rest);
  FirstBytes more;
  more.needed = stream.size() + 1;
  if (!request) return full || !may_begin_request(begin) ? plain(FirstBytes::State::other) : more;
  const auto authority = target_authority(*request);
  if (!authority) return plain(FirstBytes::State::other);

  std::optional<std::string> host;
  bool after_host = false;
  while (const auto line = next_line(rest)) {
    if (line->empty())
      return finished(authority->empty() ? host.value_or("") : host_of_authority(*authority));
    if (line->front() == ' ' || line->front() == '\t') {  // a folded field (RFC 9112 5.2)
      if (after_host) return plain(FirstBytes::State::other);
      continue;
    }
    const auto field = field_of(*line);
    if (!field) return plain(FirstBytes::State::other);
    after_host = equal_but_case(field->first, "host");
    if (!after_host) continue;
    if (host) return plain(FirstBytes::State::other);
    host = host_of_authority(field->second);
  }
  if (!full) return more;
  // A head larger than we read: what it has named so far counts.
  if (!authority->empty()) return finished(host_of_authority(*authority));
  return host ? finished(*host) : plain(FirstBytes::State::other);
}

}  // namespace i3
