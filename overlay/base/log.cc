#include "overlay/base/log.hh"

#include <cstdio>
#include <cstdlib>

#include "overlay/base/bytes.hh"
#include "overlay/base/id.hh"

namespace i3 {
namespace {

constexpr std::string_view kNames[] = {"error", "warning", "info", "debug"};

void append_value(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c < 127 && c != '"' && c != '=' && c != '\\';
  });
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < ' ' || c == 127) {
      const auto byte = static_cast<std::uint8_t>(c);
      line += "\\x" + hex(Bytes(&byte, 1));
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

std::optional<LogLevel> log_level_from(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    if (kNames[i] == text) return static_cast<LogLevel>(i);
  return std::nullopt;
}

std::string_view name_of(LogLevel level) {
  return kNames[static_cast<std::size_t>(level)];
}

void Log::write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) {
  if (!wants(level)) return;
  std::string line(event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  sink_(level, line);
}

Log standard_error_log(LogLevel level, std::string program) {
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  return Log(level, [journal, program = std::move(program)](LogLevel at, std::string_view line) {
    static constexpr int kPriorities[] = {3, 4, 6, 7};
    std::string out;
    if (journal)
      out = '<' + std::to_string(kPriorities[static_cast<int>(at)]) + '>';
    else
      out = program + ": " + std::string(name_of(at)) + ": ";
    out += line;
    out += '\n';
    std::fwrite(out.data(), 1, out.size(), stderr);
  });
}

}  // namespace i3
