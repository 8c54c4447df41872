// Owns what mail, terminals and people do to a line that is pasted, undone.
#pragma once

#include <string>
#include <string_view>

#include "overlay/base/xml/values.hh"

namespace i3 {

// Without blanks, line breaks and marks of quotation; lower case.
inline std::string tidied(std::string_view text) {
  std::string result;
  for (char c : text)
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '>') result += c;
  return lower_case(result);
}

}  // namespace i3
