// Owns which hosts this host knows by name or by rule; replaced whole when the settings are read
// again. Who may come in is the inbound rules' to say: naming is not permission (decision 19).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "overlay/base/keys.hh"

namespace i3 {

struct KnownHost {
  std::string name;  // without suffix, lower case
  PublicKey key;
  bool shortcuts = true;
  std::optional<PublicKey> middlebox = {};  // everything to and from it goes through there
  bool gateway = false;                     // names are asked of it
  std::optional<PublicKey> stack = {};      // sealed packets to and from it go by that box
};

class Directory {
 public:
  Directory() = default;
  // `allowed`: keys that some inbound rule names.
  // `inbound_box`: the middle-box through which everybody has to come. `inbound_stop`: the same of
  // a box that passes sealed packets on.
  Directory(std::vector<KnownHost> hosts, const std::vector<PublicKey>& allowed,
            std::optional<PublicKey> inbound_box = {}, std::optional<PublicKey> inbound_stop = {});

  const KnownHost* by_name(std::string_view name) const;
  const KnownHost* by_key(const PublicKey& key) const;
  // True where the key is named somewhere, so that its addresses are worth keeping for it.
  bool knows(const PublicKey& key) const;
  std::string name_of(const PublicKey& key) const;  // the key's text for strangers
  const std::vector<KnownHost>& hosts() const { return hosts_; }
  // The middle-box that the settings put between this host and that one, if any.
  std::optional<PublicKey> box_for(const PublicKey& key) const;
  const std::optional<PublicKey>& inbound_box() const { return inbound_box_; }
  // The box by which the settings send sealed packets to and from that host, if any.
  std::optional<PublicKey> stop_for(const PublicKey& key) const;
  const std::optional<PublicKey>& inbound_stop() const { return inbound_stop_; }
  const std::unordered_set<PublicKey>& allowed() const { return allowed_; }

 private:
  std::vector<KnownHost> hosts_;
  std::unordered_map<std::string, std::size_t> names_;
  std::unordered_map<PublicKey, std::size_t> keys_;
  std::unordered_set<PublicKey> allowed_;
  std::optional<PublicKey> inbound_box_, inbound_stop_;
};

}  // namespace i3
