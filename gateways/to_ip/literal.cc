#include "gateways/to_ip/literal.hh"

#include <algorithm>
#include <string>

namespace i3 {

std::optional<IpAddress> literal_address(std::string_view name) {
  if (name.find_first_not_of("0123456789abcdef-") != name.npos || name.find('-') == name.npos ||
      name.size() > 45)
    return std::nullopt;
  std::string dotted(name), colons(name);
  std::replace(dotted.begin(), dotted.end(), '-', '.');
  std::replace(colons.begin(), colons.end(), '-', ':');
  if (auto four = IpAddress::parse(dotted); four && four->is_v4()) return four;
  if (auto six = IpAddress::parse(colons); six && !six->is_v4()) return six;
  return std::nullopt;
}

}  // namespace i3
