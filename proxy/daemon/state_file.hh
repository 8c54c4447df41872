// Owns the state log on disk: lines are appended as things happen, and the file is written anew
// when it has grown.
#pragma once

#include <functional>
#include <string>

#include "overlay/base/log.hh"
#include "proxy/platform/broker.hh"

namespace i3 {

class StateFile {
 public:
  // `fd` may be none: nothing is kept then.
  StateFile(UniqueFd fd, std::string path, Broker& broker, Log& log);

  std::string read();
  void append(const std::string& line);
  bool wants_rewrite() const { return size_ > rewritten_ * 2 + kRewriteAfter; }
  // Replaces the file as a whole, atomically.
  void rewrite(const std::string& text);

 private:
  static constexpr std::size_t kRewriteAfter = std::size_t{256} << 10;

  UniqueFd fd_;
  std::string path_;
  Broker& broker_;
  Log& log_;
  std::size_t size_ = 0;
  std::size_t rewritten_ = 0;
};

}  // namespace i3
