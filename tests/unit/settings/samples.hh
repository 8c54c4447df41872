// Owns what the settings tests share: keys, files in memory, the text of a refusal.
#pragma once

#include <doctest/doctest.h>
#include <map>
#include <string>

#include "overlay/base/xml.hh"
#include "proxy/settings/gateway_settings.hh"
#include "proxy/settings/proxy_settings.hh"

namespace i3::test {

inline PublicKey key_number(std::uint64_t seed) {
  SeededRandom random(seed);
  return Identity::generate(random)->key();
}

// KEY1, KEY2, KEY3 in a text stand for keys.
inline std::string with_keys(std::string text) {
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const std::string mark = "KEY" + std::to_string(i);
    for (std::size_t at; (at = text.find(mark)) != std::string::npos;)
      text.replace(at, mark.size(), key_number(i).text());
  }
  return text;
}

using Files = std::map<std::string, std::string>;

inline FileSource source_of(Files files) {
  return [files = std::move(files)](const std::string& path) {
    const auto found = files.find(path);
    if (found == files.end())
      throw ConfigError(path + ":1:1: cannot be read: No such file or directory");
    return with_keys(found->second);
  };
}

inline ProxySettings proxy_from(const std::string& text, Files files = {}) {
  return parse_proxy_settings(with_keys(text), "/etc/i3/proxy.xml", source_of(std::move(files)));
}

inline GatewaySettings gateway_from(const std::string& text, Files files = {}) {
  return parse_gateway_settings(with_keys(text), "/etc/i3/gateway.xml",
                                source_of(std::move(files)));
}

// What `load` refuses with; "accepted" if it does not.
template <class Load>
std::string refusal_of(Load&& load) {
  try {
    load();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace i3::test
