#include "gateways/middlebox/plugins/signatures.hh"

#include <charconv>

#include "proxy/packet/checksum.hh"

namespace i3::inspect {
namespace {

constexpr std::size_t kMaxPattern = 255;

std::string_view next_word(std::string_view& line) {
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool has_right_checksum(const IpView& packet) {
  const Bytes transport = packet.transport();
  return fold(sum_of(transport, pseudo_header_sum(packet.source(), packet.destination(),
                                                  packet.protocol(), transport.size()))) == 0xffff;
}

// "..." with its escapes; nothing if it is no such thing to the end of the line.
std::optional<std::string> quoted_text(std::string_view line) {
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() < 3 || line.front() != '"' || line.back() != '"') return std::nullopt;
  line = line.substr(1, line.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') return std::nullopt;
    if (line[i] != '\\') {
      text += lower(line[i]);
      continue;
    }
    if (++i >= line.size()) return std::nullopt;
    if (line[i] == '"' || line[i] == '\\') {
      text += line[i];
      continue;
    }
    unsigned byte = 0;
    if (line[i] != 'x' || i + 2 >= line.size()) return std::nullopt;
    const char* digits = line.data() + i + 1;
    if (std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return std::nullopt;
    text += lower(static_cast<char>(byte));
    i += 2;
  }
  return text;
}

std::optional<Signature> parse_line(std::string_view line, std::string& why) {
  Signature signature;
  signature.name = next_word(line);
  const std::string_view action = next_word(line);
  const std::string_view protocol = next_word(line);
  const std::string_view port = next_word(line);
  const auto pattern = quoted_text(line);
  if (action != "drop" && action != "alert") why = "after the name comes drop or alert";
  if (protocol != "tcp" && protocol != "udp") why = "then tcp or udp";
  if (port != "*") {
    std::uint16_t number = 0;
    const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
    if (read.ec != std::errc() || read.ptr != port.data() + port.size() || number == 0)
      why = "then a port, or *";
    signature.port = number;
  }
  if (!pattern || pattern->size() > kMaxPattern)
    why = "then a pattern of 1 to 255 bytes in quotes; \\xNN, \\\" and \\\\ are known";
  if (!why.empty()) return std::nullopt;
  signature.drops = action == "drop";
  signature.tcp = protocol == "tcp";
  signature.pattern = *pattern;
  return signature;
}

}  // namespace

std::optional<std::vector<Signature>> parse_signatures(std::string_view text, std::string& why) {
  std::vector<Signature> signatures;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == line.npos || line.starts_with('#')) continue;
    std::string wrong;
    auto signature = parse_line(line, wrong);
    if (!signature) {
      why = std::to_string(number) + ": " + wrong;
      return std::nullopt;
    }
    signatures.push_back(std::move(*signature));
  }
  return signatures;
}

// What is searched in one direction is what came last there and what comes now, so that no pattern
// hides on the border of two segments.
class SignatureFilter::Reader final : public StreamReader {
 public:
  Reader(SignatureFilter& filter, const Ends& ends) : filter_(filter), ends_(ends) {}
  bool data(bool from_client, Bytes bytes, WallTime) override {
    return filter_.look(ends_, true, from_client ? from_client_ : from_server_, bytes);
  }
  void finished(WallTime) override {}

 private:
  SignatureFilter& filter_;
  Ends ends_;
  std::string from_client_, from_server_;
};

SignatureFilter::SignatureFilter(std::vector<Signature> signatures, Found found)
    : signatures_(std::move(signatures)),
      found_(std::move(found)),
      streams_([this](const Ends& ends, WallTime) -> std::unique_ptr<StreamReader> {
        return std::make_unique<Reader>(*this, ends);
      }) {}

bool SignatureFilter::packet(Bytes bytes, WallTime wall) {
  const auto packet = IpView::parse(bytes);
  if (!packet || packet->is_fragment()) return false;
  // A receiver drops what is damaged; read here, it would be taken for what the receiver has.
  if (packet->is_tcp()) return has_right_checksum(*packet) && streams_.packet(*packet, wall);
  if (!packet->is_udp() || packet->transport().size() < 8) return true;
  const Ends ends{packet->source(), packet->destination(), packet->source_port(),
                  packet->destination_port()};
  std::string nothing_before;
  return look(ends, false, nothing_before, packet->transport().subspan(8));
}

bool SignatureFilter::look(const Ends& ends, bool tcp, std::string& tail, Bytes bytes) {
  const std::size_t before = tail.size();
  for (const std::uint8_t byte : bytes) tail += lower(static_cast<char>(byte));
  bool passes = true;
  for (const Signature& signature : signatures_) {
    const bool there = !signature.port || *signature.port == ends.server_port ||
                       (!tcp && *signature.port == ends.client_port);
    if (signature.tcp != tcp || !there) continue;
    // Only what ends in the new bytes: the rest was found when it came.
    const std::size_t from =
        before >= signature.pattern.size() ? before - signature.pattern.size() + 1 : 0;
    if (tail.find(signature.pattern, from) == tail.npos) continue;
    found_(signature, ends);
    passes = passes && !signature.drops;
  }
  if (tail.size() > kMaxPattern) tail.erase(0, tail.size() - kMaxPattern);
  return passes;
}

}  // namespace i3::inspect
