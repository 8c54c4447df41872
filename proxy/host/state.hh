// Owns the lines of the state log: what a host must remember over a restart so that addresses that
// programs hold keep their meaning (seed 001, 7.2).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "overlay/base/key_record.hh"
#include "overlay/base/time.hh"
#include "overlay/session/stamp_gate.hh"
#include "proxy/packet/address_pool.hh"

namespace i3 {

// One line is one fact; a later one about the same key replaces an earlier one:
//   start                                    a run began
//   peer KEY IPV4 IPV6 STANDING USED NAME    standing: known or stranger; used: wall time, ns
//   gone KEY
//   stamp KEY NUMBER
//   behind ..., forgot ...                  of names behind gateways (gateway_names.hh)
//   record TEXT[,TEXT] [published]           what a key said of itself, as this host believes it
//   client HEX                               what the overlay client saved
//   clean                                    the run ended in order
struct PeerRecord {
  PublicKey key;
  VirtualIp ipv4, ipv6;
  Standing standing = Standing::known;
  WallTime used = 0;
  std::string name;

  std::string line() const;
};

struct RestoredRecord {
  std::vector<KeyRecord> records;  // of one key
  bool publish = false;
};

struct RestoredState {
  std::vector<PeerRecord> peers;
  std::vector<StampEntry> stamps;
  std::vector<RestoredRecord> records;
  std::vector<std::uint8_t> client;
  std::vector<std::string> names;  // lines about names behind gateways, in order
  bool clean = true;  // nothing was lost: the last run ended in order, or there was none

  // Lines that are damaged (a crash cut them) are skipped. Reads at most 65536 peers.
  static RestoredState parse(std::string_view text);
};

// What stands between single blanks.
std::vector<std::string_view> words_of(std::string_view line);
std::string stamp_line(const StampEntry& entry);
std::string client_line(Bytes saved);
std::string record_line(const std::vector<KeyRecord>& records, bool publish);

}  // namespace i3
