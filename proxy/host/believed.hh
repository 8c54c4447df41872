// Owns what this host believes of keys that said something of themselves: who they are now, and
// which nobody shall believe any more. Survives restarts in the state log.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "overlay/base/key_record.hh"
#include "overlay/client/client.hh"
#include "proxy/host/directory.hh"
#include "proxy/packet/inbound_rules.hh"

namespace i3 {

// Whoever steals a key signs what he likes with it, with any date. Hence
// - the first move that this host learns of counts, and no later one replaces it;
// - two that contradict each other, learnt together, show that two people hold the key: as good as
//   a revocation;
// - a revocation ends everything that the key said, whenever it comes, and nothing ends it.
class Believed {
 public:
  static constexpr std::size_t kMost = 4096;  // of keys that no setting names
  static constexpr std::size_t kMostSteps = 8;

  enum class Change : std::uint8_t { none, moved, revoked, contested, contradicted };
  struct Entry {
    std::vector<KeyRecord> records;  // one, or two that contradict each other
    bool contradicted = false;       // another move was seen, too late
    bool publish = false;            // somebody on this host asked for it to be known

    bool revoked() const { return records[0].kind == KeyRecord::Kind::revoked; }
    bool contested() const { return records.size() > 1; }
  };

  // Records of one key, all valid. `named`: some setting names the key, so that there is room.
  Change take(std::span<const KeyRecord> records, bool named);
  // False where nothing is believed of the key.
  bool publish(const PublicKey& key);

  // Who the key is now: itself, where it moved to, or nobody where it is not to be believed, or
  // where the way from key to key is a circle or longer than eight.
  std::optional<PublicKey> current(const PublicKey& key) const;
  const Entry* find(const PublicKey& key) const;
  const std::map<PublicKey, Entry>& all() const { return entries_; }
  std::vector<KeptRecord> kept() const;

  // The settings as they are meant now: names mean the keys that theirs moved to, and so do rules;
  // what nobody is behind any more is left out.
  Directory applied(const Directory& named) const;
  std::vector<Allow> applied(const std::vector<Allow>& lines) const;

  // For the state log.
  std::string line_of(const PublicKey& key) const;
  std::string lines() const;

 private:
  std::map<PublicKey, Entry> entries_;
};

}  // namespace i3
