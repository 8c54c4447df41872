// Owns a node's named counters: every drop has one (docs/DESIGN.md, decision 29).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace i3 {

class Counters {
 public:
  void add(std::string_view name, std::uint64_t count = 1) {
    auto found = values_.find(name);
    if (found == values_.end()) found = values_.emplace(std::string(name), 0).first;
    found->second += count;
  }
  std::uint64_t get(std::string_view name) const {
    auto found = values_.find(name);
    return found == values_.end() ? 0 : found->second;
  }
  const std::map<std::string, std::uint64_t, std::less<>>& all() const { return values_; }

 private:
  std::map<std::string, std::uint64_t, std::less<>> values_;
};

}  // namespace i3
