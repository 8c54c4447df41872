// Owns what nodes say about our own address.
#pragma once

#include <list>

#include "overlay/client/client.hh"

namespace i3::client {

// The latest word of each of the last few nodes.
class Observations {
 public:
  static constexpr std::size_t kMaxNodes = 16;

  // True if the same node saw another address before.
  bool note(const Endpoint& node, const Endpoint& seen) {
    if (!seen.valid()) return false;
    bool other = false;
    words_.remove_if([&](const Word& word) {
      if (word.node == node) other = word.seen != seen;
      return word.node == node;
    });
    if (other) ++changes_;
    words_.push_front({node, seen});
    if (words_.size() > kMaxNodes) words_.pop_back();
    return other;
  }
  void clear() { words_.clear(); }
  // How often a node saw another address than before.
  std::uint64_t changes() const { return changes_; }

  Observed summary() const {
    Observed result;
    for (const Word& word : words_) {
      Observed::Family& family = word.seen.address.is_v4() ? result.v4 : result.v6;
      if (!family.endpoint) family.endpoint = word.seen;
      family.same = family.same && *family.endpoint == word.seen;
      ++family.nodes;
    }
    return result;
  }

 private:
  struct Word {
    Endpoint node;
    Endpoint seen;
  };
  std::list<Word> words_;  // newest first
  std::uint64_t changes_ = 0;
};

}  // namespace i3::client
