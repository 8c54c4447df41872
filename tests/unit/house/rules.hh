// Owns the house's rules as docs/DESIGN.md states them: the table of folders and the list of
// drivers.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace i3::house {

struct Rules {
  // Folder to the folders that it may include; a folder may always include itself and what lies
  // below it without a row of its own.
  std::map<std::string, std::set<std::string>> may_use;
  // Files, or folders, that may touch the operating system.
  std::set<std::string> drivers;
};

// Reads the table whose head is "| folder | owns | may use |" and the list under "### Drivers".
Rules read_rules(std::string_view design);

// The row that a path belongs to: the longest folder of the table that contains it.
std::optional<std::string> folder_of(const Rules& rules, std::string_view path);

// What is wrong with one file of the tree, one sentence each. `path` is relative to the tree.
std::vector<std::string> faults(const Rules& rules, const std::string& path, std::string_view text);

// Of every table whose last column is called "test": each row, and the `names` in its last cell.
std::vector<std::pair<std::string, std::vector<std::string>>> tests_of_rows(std::string_view text);

// The sentences of a file's test cases, parts of a literal joined.
std::vector<std::string> test_sentences(std::string_view source);

}  // namespace i3::house
