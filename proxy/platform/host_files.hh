// Owns reading, replacing and creating files on disk for the parent.
#pragma once

#include <string>

#include "proxy/platform/unique_fd.hh"

namespace i3 {

inline constexpr std::size_t kMaximumFileSize = std::size_t{16} << 20;

// Makes the folder that holds `path`, and those above it, 0755. PlatformError.
void make_folder_of(const std::string& path);

// A regular file for reading; on failure none, and errno.
UniqueFd open_for_reading(const std::string& path);
// Read and write, made 0600 where missing; never through a symbolic link. PlatformError.
UniqueFd open_state_file(const std::string& path);

// Writes beside the file, syncs and renames; mode and owner stay, a new file is 0644. Follows a
// symbolic link at `path` so that the link stays. Returns why not, or an empty string.
std::string replace_file(const std::string& path, const std::string& text);

// The whole of a regular file or memfd from its start; false if it is larger than
// kMaximumFileSize or cannot be read.
bool read_all(int fd, std::string& text);

}  // namespace i3
