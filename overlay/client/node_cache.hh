// Owns the nodes this host has heard of, to fall back on when all its entry nodes are dead.
#pragma once

#include <functional>
#include <list>

#include "overlay/wire/contact.hh"

namespace i3::client {

// Bounded; the one heard of longest ago goes first. A node is its key.
class NodeCache {
 public:
  static constexpr std::size_t kMaxNodes = 64;

  void learn(const wire::NodeContact& contact);
  void learn(const std::vector<wire::NodeContact>& contacts) {
    for (const wire::NodeContact& contact : contacts) learn(contact);
  }
  // The next one, newest first at the beginning and then round and round, for which `suits` holds.
  std::optional<wire::NodeContact> next(const std::function<bool(const wire::NodeContact&)>& suits);
  const std::list<wire::NodeContact>& all() const { return nodes_; }
  std::size_t size() const { return nodes_.size(); }

  // count 1 | contacts, newest first
  void save(Writer& writer) const;
  // Takes nothing where it fails the reader.
  void restore(Reader& reader);

 private:
  std::list<wire::NodeContact> nodes_;  // to be tried first: front
};

}  // namespace i3::client
