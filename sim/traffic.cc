#include "sim/traffic.hh"

#include "overlay/wire/ring_messages.hh"

namespace i3::sim {
namespace {

std::string name_of(std::size_t type, std::size_t kind) {
  static constexpr const char* kRingKinds[] = {"",       "ping",  "pong",  "state_request", "state",
                                               "notify", "find",  "found", "forward",       "reply",
                                               "leave",  "taken", "relay", "relayed"};
  switch (static_cast<wire::Type>(type)) {
    case wire::Type::ring:
      return kind < std::size(kRingKinds) ? kRingKinds[kind] : "ring " + std::to_string(kind);
    case wire::Type::labelled:
      return "labelled";
    case wire::Type::direct:
      return "direct";
    case wire::Type::packet:
      return "packet";
    case wire::Type::returned:
      return "returned";
    case wire::Type::probe:
      return "probe";
    case wire::Type::probe_reply:
      return "probe_reply";
    case wire::Type::insert:
    case wire::Type::challenge:
    case wire::Type::inserted:
      return "insertions";
    case wire::Type::refresh:
    case wire::Type::refreshed:
      return "refreshes";
    default:
      return "other";
  }
}

}  // namespace

Traffic::Count Traffic::all() const {
  Count sum;
  for (const auto& type : counts_)
    for (const Count& count : type) {
      sum.packets += count.packets;
      sum.bytes += count.bytes;
    }
  return sum;
}

Traffic::ByKind Traffic::by_kind() const {
  ByKind result;
  for (std::size_t type = 0; type < counts_.size(); ++type)
    for (std::size_t kind = 0; kind < counts_[type].size(); ++kind) {
      const Count& count = counts_[type][kind];
      if (count.packets == 0) continue;
      Count& sum = result[name_of(type, kind)];
      sum.packets += count.packets;
      sum.bytes += count.bytes;
    }
  return result;
}

Traffic::ByKind difference(const Traffic::ByKind& later, const Traffic::ByKind& earlier) {
  Traffic::ByKind result;
  for (const auto& [kind, count] : later) {
    auto before = earlier.find(kind);
    result[kind] = before == earlier.end() ? count : count - before->second;
  }
  return result;
}

}  // namespace i3::sim
