#include "overlay/client/node_cache.hh"

namespace i3::client {

void NodeCache::learn(const wire::NodeContact& contact) {
  nodes_.remove_if([&](const wire::NodeContact& node) { return node.key == contact.key; });
  nodes_.push_front(contact);
  if (nodes_.size() > kMaxNodes) nodes_.pop_back();
}

std::optional<wire::NodeContact> NodeCache::next(
    const std::function<bool(const wire::NodeContact&)>& suits) {
  for (auto node = nodes_.begin(); node != nodes_.end(); ++node) {
    if (!suits(*node)) continue;
    nodes_.splice(nodes_.end(), nodes_, node);
    return *node;
  }
  return std::nullopt;
}

void NodeCache::save(Writer& writer) const {
  wire::write_contacts(writer, {nodes_.begin(), nodes_.end()});
}

void NodeCache::restore(Reader& reader) {
  const auto contacts = wire::read_contacts(reader, kMaxNodes);
  if (!reader.ok()) return;
  nodes_.assign(contacts.begin(), contacts.end());
}

}  // namespace i3::client
