// Owns the text form of counters and gauges: Prometheus' exposition format, version 0.0.4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace i3 {

// One metric after the other: first what it is, then its samples, since they must stand together.
class MetricsText {
 public:
  // `prefix` stands before each name: "i3_proxy_".
  explicit MetricsText(std::string_view prefix) : prefix_(prefix) {}

  // Names end in _total by convention.
  MetricsText& counter(std::string_view name, std::string_view help) {
    return begin(name, "counter", help);
  }
  MetricsText& gauge(std::string_view name, std::string_view help) {
    return begin(name, "gauge", help);
  }
  MetricsText& sample(std::uint64_t value) {
    text_ += name_ + ' ' + std::to_string(value) + '\n';
    return *this;
  }
  MetricsText& sample(std::string_view label, std::string_view label_value, std::uint64_t value) {
    text_.append(name_).append("{").append(label).append("=\"");
    for (const char c : label_value) {
      if (c == '\\' || c == '"') text_ += '\\';
      c == '\n' ? text_.append("\\n") : text_.append(1, c);
    }
    text_.append("\"} ").append(std::to_string(value)).append("\n");
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  MetricsText& begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = prefix_ + std::string(name);
    text_.append("# HELP ").append(name_).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name_).append(" ").append(type).append("\n");
    return *this;
  }

  std::string prefix_;
  std::string name_;
  std::string text_;
};

}  // namespace i3
