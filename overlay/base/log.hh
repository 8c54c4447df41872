// Owns logging: one event a line, "event key=value ...", to a sink that main chooses.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace i3 {

enum class LogLevel { error, warning, info, debug };
std::optional<LogLevel> log_level_from(std::string_view text);
std::string_view name_of(LogLevel level);

// One "key=value"; values with blanks, quotes or control characters are quoted and escaped, so
// that bytes from the network cannot forge a line.
struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T>
  requires std::integral<T> Field(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
};

class Log {
 public:
  using Sink = std::function<void(LogLevel, std::string_view line)>;

  Log() = default;  // silent: what tests and simulations use
  Log(LogLevel level, Sink sink) : level_(level), sink_(std::move(sink)) {}

  bool wants(LogLevel level) const { return sink_ && level <= level_; }
  void set_level(LogLevel level) { level_ = level; }
  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields = {});

  void error(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::error, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::warning, event, fields);
  }
  void info(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::info, event, fields);
  }
  void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::debug, event, fields);
  }

 private:
  LogLevel level_ = LogLevel::error;
  Sink sink_;
};

// Lines on standard error; with `program` in front. With journald (JOURNAL_STREAM set) each line
// carries its syslog priority as <N>.
Log standard_error_log(LogLevel level, std::string program);

}  // namespace i3
