// Fuzzes every loader and every editor of settings: a file may be wrong in any way, but only a
// ConfigError (or an EditError) may come of it.
#include <cstdint>
#include <string>

#include "overlay/base/xml/node_settings.hh"
#include "proxy/settings/edit.hh"
#include "proxy/settings/gateway_settings.hh"
#include "proxy/settings/proxy_settings.hh"

using namespace i3;

namespace {

template <class Work>
void attempt(Work&& work) {
  try {
    work();
  } catch (const ConfigError&) {
  } catch (const EditError&) {
  }
}

const PublicKey& some_key() {
  static const PublicKey key = [] {
    SeededRandom random(1);
    return Identity::generate(random)->key();
  }();
  return key;
}

// What was added has to be found, and removing it again has to work.
void edit_book(const std::string& text) {
  const std::string added = book_with_added(text, "f", "fuzz-name", some_key());
  const AddressBooks books({AddressBook::parse(added, "f")});
  const BookEntry* entry = books.find("fuzz-name");
  if (!entry || entry->key != some_key()) __builtin_trap();
  book_without(added, "f", "fuzz-name");
  book_with_imported(text, "f", text, "g");
}

void edit_config(const std::string& text) {
  const FileSource source = [](const std::string&) { return "<address-book/>"; };
  const bool fine = [&] {
    try {
      parse_proxy_settings(text, "f", source);
      return true;
    } catch (const ConfigError&) {
      return false;
    }
  }();
  if (!fine) return;
  // A file that was right stays right.
  try {
    const std::string changed =
        config_with_allow(config_with_node(text, "f", {{IpAddress::v4(0x01020304), 5}, some_key()}),
                          "f", "*", "", "7");
    parse_proxy_settings(changed, "f", source);
  } catch (const EditError&) {
  } catch (const ConfigError&) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const FileSource itself = [&](const std::string&) { return text; };
  attempt([&] { parse_proxy_settings(text, "f", itself); });
  attempt([&] { parse_gateway_settings(text, "f", itself); });
  attempt([&] { parse_node_settings(text, "f"); });
  attempt([&] { AddressBooks({AddressBook::parse(text, "f")}); });
  attempt([&] { edit_book(text); });
  attempt([&] { edit_config(text); });
  std::string why;
  if (size < 300) {
    parse_ports(text, why);
    parse_ip_ranges(text, why);
    parse_prefix(text, why);
    book_name(text, why);
    if (auto pattern = NamePattern::parse(text, why)) pattern->matches("home.example");
  }
  return 0;
}
