// Owns text for people: aligned columns, sizes, times.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/control/control.hh"

namespace i3 {

class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  // Two blanks between columns, none at the end of a line.
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "label:  value", values under each other.
class Facts {
 public:
  void add(std::string label, std::string value) {
    rows_.emplace_back(std::move(label), std::move(value));
  }
  void print(std::ostream& out) const;

 private:
  std::vector<std::pair<std::string, std::string>> rows_;
};

// A field as people read it: "-" for what is absent or null, yes and no, text without control
// characters, lists with commas.
std::string shown(const Json& object, const char* field);
std::string shown(const Json& value);
std::string shown_ms(const Json& object, const char* field);       // "12.3 ms"
std::string shown_bytes(const Json& object, const char* field);    // "1.5 MB"
std::string shown_seconds(const Json& object, const char* field);  // "2 h 5 min"
// A list field, or an empty list.
const Json& list_of(const Json& object, const char* field);
const Json& object_of(const Json& object, const char* field);

}  // namespace i3
