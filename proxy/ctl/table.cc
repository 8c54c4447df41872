#include "proxy/ctl/table.hh"

#include <algorithm>
#include <cstdio>

namespace i3 {
namespace {

// Characters, not bytes; what comes from a daemon is UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string padded(const std::string& text, std::size_t width) {
  const std::size_t own = width_of(text);
  return own < width ? text + std::string(width - own, ' ') : text;
}

const Json* number_in(const Json& object, const char* field) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(field);
  return found != object.end() && found->is_number() ? &*found : nullptr;
}

std::string with_one_decimal(double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, value < 100 ? "%.1f %s" : "%.0f %s", value, unit);
  return text;
}

}  // namespace

void Table::print(std::ostream& out) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += i + 1 < row.size() ? padded(row[i], widths[i]) + "  " : row[i];
    while (line.ends_with(' ')) line.pop_back();
    out << line << '\n';
  }
}

void Facts::print(std::ostream& out) const {
  std::size_t width = 0;
  for (const auto& [label, value] : rows_) width = std::max(width, width_of(label));
  for (const auto& [label, value] : rows_)
    out << padded(label.empty() ? "" : label + ':', width + 1) << "  " << value << '\n';
}

std::string shown(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_array()) {
    std::string list;
    for (const Json& part : value) list += (list.empty() ? "" : ", ") + shown(part);
    return list.empty() ? "-" : list;
  }
  if (!value.is_string()) return to_line(value);
  std::string text = value.get<std::string>();
  // A terminal must not obey what a name or an address says.
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text.empty() ? "-" : text;
}

std::string shown(const Json& object, const char* field) {
  if (!object.is_object()) return "-";
  const auto found = object.find(field);
  return found == object.end() ? "-" : shown(*found);
}

std::string shown_ms(const Json& object, const char* field) {
  const Json* value = number_in(object, field);
  return value ? with_one_decimal(value->get<double>(), "ms") : "-";
}

std::string shown_bytes(const Json& object, const char* field) {
  const Json* value = number_in(object, field);
  if (!value) return "-";
  double size = value->get<double>();
  if (size < 1000) return to_line(*value) + " B";
  for (const char* unit : {"kB", "MB", "GB"}) {
    size /= 1000;
    if (size < 1000) return with_one_decimal(size, unit);
  }
  return with_one_decimal(size / 1000, "TB");
}

std::string shown_seconds(const Json& object, const char* field) {
  const Json* value = number_in(object, field);
  if (!value) return "-";
  const auto seconds = static_cast<long long>(std::clamp(value->get<double>(), 0.0, 1e12));
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 86400)
    return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
  return std::to_string(seconds / 86400) + " d " + std::to_string(seconds / 3600 % 24) + " h";
}

const Json& list_of(const Json& object, const char* field) {
  static const Json kEmpty = Json::array();
  if (!object.is_object()) return kEmpty;
  const auto found = object.find(field);
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

const Json& object_of(const Json& object, const char* field) {
  static const Json kEmpty = Json::object();
  if (!object.is_object()) return kEmpty;
  const auto found = object.find(field);
  return found != object.end() && found->is_object() ? *found : kEmpty;
}

}  // namespace i3
