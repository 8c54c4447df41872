// Owns changing settings files as text, so that the operator's comments and layout stay. Nothing
// here writes a file: whoever may write it replaces it with the returned text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "overlay/base/keys.hh"
#include "overlay/base/xml.hh"
#include "overlay/base/xml/node_settings.hh"
#include "overlay/base/xml/values.hh"

namespace i3 {

// The request cannot be carried out; one line for people.
class EditError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// All take the file's text and its name (for messages), check that it is valid before, and return
// the new text. ConfigError if the file is wrong, EditError if the request is.

// A <host> at the end of the book. The same name with the same key changes nothing; with another
// key it is an EditError.
std::string book_with_added(const std::string& text, const std::string& file, std::string_view name,
                            const PublicKey& key);
std::string book_without(const std::string& text, const std::string& file, std::string_view name);
// Another key for a name that is there with `before`.
std::string book_with_key(const std::string& text, const std::string& file, std::string_view name,
                          const PublicKey& before, const PublicKey& after);
// Every entry of another book; those already there with the same key are skipped, one with another
// key is an EditError and nothing is imported.
struct BookImport {
  std::string text;
  std::vector<std::string> added;  // names
  std::vector<std::string> skipped;
};
BookImport book_with_imported(const std::string& text, const std::string& file,
                              const std::string& other_text, const std::string& other_file);
// What to start from when there is no book yet.
std::string empty_book();

// An <allow> at the end of <inbound>, which is made if it is missing; `ports` as in the file, empty
// for all. `from` is a name, a key or *.
std::string config_with_allow(const std::string& text, const std::string& file,
                              std::string_view from, std::string_view protocol,
                              std::string_view ports);
// A <node> at the end of <overlay>; the same address twice changes nothing but a missing key.
std::string config_with_node(const std::string& text, const std::string& file,
                             const EntryNode& node);
// own-node="yes" in <overlay>: the node inside stays though others are named.
std::string config_with_own_node(const std::string& text, const std::string& file);
// operator-key of <overlay>; EditError if another one is set.
std::string config_with_operator_key(const std::string& text, const std::string& file,
                                     const PublicKey& key);

}  // namespace i3
