#include "proxy/host/directory.hh"

namespace i3 {

Directory::Directory(std::vector<KnownHost> hosts, const std::vector<PublicKey>& allowed,
                     std::optional<PublicKey> inbound_box, std::optional<PublicKey> inbound_stop)
    : hosts_(std::move(hosts)),
      allowed_(allowed.begin(), allowed.end()),
      inbound_box_(inbound_box),
      inbound_stop_(inbound_stop) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    names_.try_emplace(hosts_[i].name, i);
    keys_.try_emplace(hosts_[i].key, i);
  }
}

const KnownHost* Directory::by_name(std::string_view name) const {
  auto found = names_.find(std::string(name));
  return found == names_.end() ? nullptr : &hosts_[found->second];
}

const KnownHost* Directory::by_key(const PublicKey& key) const {
  auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &hosts_[found->second];
}

bool Directory::knows(const PublicKey& key) const {
  return keys_.contains(key) || allowed_.contains(key);
}

std::optional<PublicKey> Directory::box_for(const PublicKey& key) const {
  const KnownHost* host = by_key(key);
  return host != nullptr && host->middlebox ? host->middlebox : inbound_box_;
}

std::optional<PublicKey> Directory::stop_for(const PublicKey& key) const {
  const KnownHost* host = by_key(key);
  // A middle-box is the way already.
  return host != nullptr && (host->stack || host->middlebox) ? host->stack : inbound_stop_;
}

std::string Directory::name_of(const PublicKey& key) const {
  const KnownHost* host = by_key(key);
  return host != nullptr ? host->name : key.text();
}

}  // namespace i3
