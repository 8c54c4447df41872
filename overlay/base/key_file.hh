// Owns key files: the 32-byte seed of an identity as one line of 52 base32 characters, mode 0600.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "overlay/base/keys.hh"

namespace i3 {

// what() is one line: the path, what is wrong, and what to do. Programs end with exit code 2.
class KeyFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The identity in `path`, which must be a regular file, no symbolic link, with a single name, mode
// 0600 (or 0400), owned by this process's effective user or root.
std::unique_ptr<Identity> load_key(const std::string& path);

// Makes a key, and the folders above it (0755); fails if anything stands at `path` already. The
// file is complete on disk or not there.
std::unique_ptr<Identity> create_key(const std::string& path, Random& random);

// load_key, or create_key where nothing stands at `path`.
std::unique_ptr<Identity> load_or_create_key(const std::string& path, Random& random);

}  // namespace i3
