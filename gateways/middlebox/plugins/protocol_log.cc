#include "gateways/middlebox/plugins/protocol_log.hh"

#include <charconv>

namespace i3::inspect {
namespace {

constexpr std::size_t kMaxLine = 4096;
constexpr std::uint16_t kFtpPort = 21;
constexpr std::string_view kMethods[] = {"GET ",     "HEAD ",    "POST ",  "PUT ",  "DELETE ",
                                         "OPTIONS ", "CONNECT ", "PATCH ", "TRACE "};

// Cuts a direction into lines; a line that is too long is cut.
class Lines {
 public:
  void add(Bytes bytes, const std::function<void(std::string_view)>& line) {
    for (const std::uint8_t byte : bytes) {
      if (byte == '\n') {
        if (text_.ends_with('\r')) text_.pop_back();
        const std::string whole = std::exchange(text_, {});
        line(whole);
      } else if (text_.size() < kMaxLine) {
        text_ += static_cast<char>(byte);
      }
    }
  }

 private:
  std::string text_;
};

std::string meaning_of(std::string_view reply) {
  const std::string_view code = reply.substr(0, 3);
  if (code == "227" || code == "229") {
    // 227 Entering Passive Mode (h,h,h,h,p,p)
    unsigned n[6];
    const std::size_t open = reply.find('(');
    if (open != reply.npos &&
        std::sscanf(std::string(reply.substr(open)).c_str(), "(%u,%u,%u,%u,%u,%u)", n, n + 1, n + 2,
                    n + 3, n + 4, n + 5) == 6) {
      std::string text = "227 ";
      for (int i = 0; i < 4; ++i) text += (i > 0 ? "." : "") + std::to_string(n[i]);
      return text + '/' + std::to_string(n[4] * 256 + n[5]);
    }
  }
  for (const auto& [number, text] : {std::pair{"200", "ok"},
                                     {"220", "ready"},
                                     {"221", "closed"},
                                     {"226", "complete"},
                                     {"230", "logged in"},
                                     {"250", "done"},
                                     {"500", "syntax error"},
                                     {"501", "syntax error"},
                                     {"502", "not implemented"},
                                     {"530", "not logged in"},
                                     {"550", "failed"}})
    if (code == number) return text;
  return std::string(reply);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return result;
}

class FtpReader final : public StreamReader {
 public:
  FtpReader(const ProtocolLog::Line& line, std::uint64_t number, const Ends& ends, WallTime wall)
      : line_(line), name_('#' + std::to_string(number)) {
    say(wall, ends.client.text() + '/' + std::to_string(ends.client_port) + " > " +
                  ends.server.text() + "/ftp start");
  }
  bool data(bool from_client, Bytes bytes, WallTime wall) override {
    if (from_client)
      commands_.add(bytes, [&](std::string_view line) { command(line, wall); });
    else
      replies_.add(bytes, [&](std::string_view line) { reply(line, wall); });
    return true;
  }
  void finished(WallTime wall) override {
    if (!waits_.empty()) say(wall, waits_ + " (no answer)");
    say(wall, "finish");
  }

 private:
  void say(WallTime wall, const std::string& text) {
    line_(time_text(wall) + ' ' + name_ + ' ' + printable(text));
  }
  void command(std::string_view line, WallTime wall) {
    const std::string verb = lower(line.substr(0, 4));  // RFC 959, 5.3: in any case
    const bool password = verb == "pass";
    if (password && lower(waits_.substr(0, 4)) == "user")
      return;  // what comes of it belongs to USER
    if (!waits_.empty()) say(wall, waits_ + " (no answer)");
    waits_ = password ? "PASS" : line;
  }
  void reply(std::string_view line, WallTime wall) {
    const bool last = line.size() >= 4 && line[0] >= '1' && line[0] <= '5' && line[3] == ' ';
    if (!last) return;
    if (waits_.empty()) return say(wall, "response (" + std::string(line) + ')');
    if (line[0] == '1' || line.starts_with("331")) return;
    say(wall, std::exchange(waits_, {}) + " (" + meaning_of(line) + ')');
  }

  const ProtocolLog::Line& line_;
  std::string name_;
  std::string waits_;  // a command without its answer
  Lines commands_, replies_;
};

class HttpReader final : public StreamReader {
 public:
  HttpReader(const ProtocolLog::Line& line, std::uint64_t& numbers, const Ends& ends)
      : line_(line), numbers_(numbers), ends_(ends) {}
  bool data(bool from_client, Bytes bytes, WallTime wall) override {
    if (!from_client) return true;
    while (!bytes.empty() && !other_) {
      const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(body_, bytes.size()));
      body_ -= skipped;
      bytes = bytes.subspan(skipped);
      // Line by line: only a header's end says where a body begins.
      const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{'\n'});
      const auto size =
          static_cast<std::size_t>(end - bytes.begin()) + (end != bytes.end() ? 1 : 0);
      lines_.add(bytes.first(size), [&](std::string_view line) { request(line, wall); });
      bytes = bytes.subspan(size);
    }
    return true;
  }
  void finished(WallTime wall) override {
    if (!name_.empty()) line_(time_text(wall) + ' ' + name_ + " finish");
  }

 private:
  void request(std::string_view line, WallTime wall) {
    const bool is_request =
        line.find(" HTTP/1.") != line.npos &&
        std::any_of(std::begin(kMethods), std::end(kMethods),
                    [&](std::string_view method) { return line.starts_with(method); });
    if (is_request) {
      if (name_.empty()) {
        name_ = '%' + std::to_string(++numbers_);
        line_(time_text(wall) + ' ' + name_ + " start " + ends_.client.text() + " > " +
              ends_.server.text());
      }
      line_(name_ + ' ' + printable(line.substr(0, line.find(" HTTP/1."))));
    } else if (name_.empty()) {
      other_ = true;  // no HTTP: nothing more is looked at
    } else if (line.size() > 15 && lower(line.substr(0, 15)) == "content-length:") {
      line.remove_prefix(15);
      while (line.starts_with(' ')) line.remove_prefix(1);
      length_ = 0;
      std::from_chars(line.data(), line.data() + line.size(), length_);
    } else if (line.empty()) {
      body_ = std::exchange(length_, 0);
    }
  }

  const ProtocolLog::Line& line_;
  std::uint64_t& numbers_;
  Ends ends_;
  std::string name_;
  bool other_ = false;
  std::uint64_t length_ = 0, body_ = 0;  // of the request being read; still to be skipped
  Lines lines_;
};

}  // namespace

ProtocolLog::ProtocolLog(Line line)
    : line_(std::move(line)),
      streams_([this](const Ends& ends, WallTime wall) -> std::unique_ptr<StreamReader> {
        if (ends.server_port == kFtpPort)
          return std::make_unique<FtpReader>(line_, ++ftp_, ends, wall);
        return std::make_unique<HttpReader>(line_, http_, ends);
      }) {}

std::string time_text(WallTime wall) {
  std::string micros = std::to_string(wall / 1000 % 1'000'000);
  micros.insert(0, 6 - micros.size(), '0');
  return std::to_string(wall / 1'000'000'000) + '.' + micros;
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 1000)) result += c >= ' ' && c < 0x7f ? c : '?';
  return result;
}

}  // namespace i3::inspect
