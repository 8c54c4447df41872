#include "proxy/host/state.hh"

#include <charconv>
#include <map>
#include <unordered_map>

namespace i3 {
namespace {

constexpr std::size_t kMaxPeers = 65536;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<PeerRecord> peer_from(const std::vector<std::string_view>& words) {
  if (words.size() != 7) return std::nullopt;
  auto key = PublicKey::from_text(words[1]);
  auto ipv4 = IpAddress::parse(words[2]);
  auto ipv6 = IpAddress::parse(words[3]);
  auto used = number(words[5]);
  if (!key || !ipv4 || !ipv6 || !used || !ipv4->is_v4() || ipv6->is_v4()) return std::nullopt;
  PeerRecord record;
  record.key = *key;
  record.ipv4 = VirtualIp(*ipv4);
  record.ipv6 = VirtualIp(*ipv6);
  record.standing = words[4] == "stranger" ? Standing::stranger : Standing::known;
  record.used = *used;
  record.name = std::string(words[6]);
  return record;
}

std::optional<RestoredRecord> records_from(const std::vector<std::string_view>& words) {
  if (words.size() < 2 || words.size() > 3) return std::nullopt;
  RestoredRecord result;
  result.publish = words.size() == 3 && words[2] == "published";
  for (std::string_view rest = words[1]; result.records.size() < 2;) {
    const std::size_t comma = rest.find(',');
    std::string why;
    const auto record = KeyRecord::decode(rest.substr(0, comma), why);
    if (!record || (!result.records.empty() && record->key != result.records[0].key))
      return std::nullopt;
    result.records.push_back(*record);
    if (comma == std::string_view::npos) return result;
    rest.remove_prefix(comma + 1);
  }
  return std::nullopt;
}

std::vector<std::uint8_t> bytes_from_hex(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc{} || end != text.data() + i + 2) return {};
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t blank = line.find(' ');
    words.push_back(line.substr(0, blank));
    line = blank == std::string_view::npos ? std::string_view{} : line.substr(blank + 1);
  }
  return words;
}

std::string PeerRecord::line() const {
  return "peer " + key.text() + ' ' + ipv4.text() + ' ' + ipv6.text() + ' ' +
         (standing == Standing::stranger ? "stranger" : "known") + ' ' + std::to_string(used) +
         ' ' + name;
}

std::string stamp_line(const StampEntry& entry) {
  return "stamp " + base32(entry.key.bytes) + ' ' + std::to_string(entry.stamp);
}

std::string client_line(Bytes saved) {
  return "client " + hex(saved);
}

std::string record_line(const std::vector<KeyRecord>& records, bool publish) {
  std::string line = "record ";
  for (const KeyRecord& record : records)
    line += (&record == records.data() ? "" : ",") + record.encode();
  return line + (publish ? " published" : "");
}

RestoredState RestoredState::parse(std::string_view text) {
  RestoredState state;
  std::unordered_map<PublicKey, PeerRecord> peers;
  std::unordered_map<PublicKey, StampEntry> stamps;
  std::map<PublicKey, RestoredRecord> records;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // cut off while it was written
    const std::string_view line = text.substr(0, end);
    const auto words = words_of(line);
    text.remove_prefix(end + 1);
    if (words.empty()) continue;
    if (words[0] == "start") state.clean = false;
    if (words[0] == "clean") state.clean = true;
    if (words[0] == "client" && words.size() == 2) state.client = bytes_from_hex(words[1]);
    if (words[0] == "record" && records.size() < kMaxPeers)
      if (auto record = records_from(words)) records[record->records[0].key] = std::move(*record);
    if (words[0] == "peer" && peers.size() < kMaxPeers)
      if (auto record = peer_from(words)) peers[record->key] = *record;
    if ((words[0] == "behind" || words[0] == "forgot") && state.names.size() < kMaxPeers)
      state.names.emplace_back(line);
    if (words[0] == "gone" && words.size() == 2)
      if (auto key = PublicKey::from_text(words[1])) peers.erase(*key);
    if (words[0] == "stamp" && words.size() == 3) {
      auto key = from_base32(words[1]);
      auto stamp = number(words[2]);
      if (!key || key->size() != PublicKey::kSize || !stamp) continue;
      StampEntry entry;
      std::copy(key->begin(), key->end(), entry.key.bytes.begin());
      entry.stamp = *stamp;
      stamps[entry.key] = entry;
    }
  }
  for (auto& [key, record] : peers) state.peers.push_back(std::move(record));
  for (auto& [key, record] : records) state.records.push_back(std::move(record));
  for (auto& [key, entry] : stamps) state.stamps.push_back(entry);
  return state;
}

}  // namespace i3
