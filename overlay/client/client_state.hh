// Owns the parts of a client and hands each message to the one that it is for.
#pragma once

#include "overlay/client/client.hh"
#include "overlay/client/holder.hh"
#include "overlay/client/nat_check.hh"
#include "overlay/client/near_place.hh"
#include "overlay/client/placer.hh"
#include "overlay/client/records.hh"
#include "overlay/client/sends.hh"
#include "overlay/client/tracer.hh"
#include "overlay/wire/insert.hh"

namespace i3 {

// Sans-I/O, as the client is; for the files of this folder.
class Client::State {
 public:
  State(const Identity& identity, Random& random, Log& log, ClientOptions options,
        ClientEvents& events)
      : core{identity, random, log, std::move(options), events},
        entries(core, cache),
        sends(core, entries),
        placer(core, entries, cache, observations),
        holder(core, entries, cache, observations),
        nat(core, entries, cache, observations),
        tracer(core),
        near(core, entries, cache),
        near_place(core, entries, near, placer),
        records(core, entries, cache) {
    core.also_held = [this](const Endpoint& node) { return holder.own_at(node); };
  }

  void on_message(const Endpoint& from, Bytes message, TimePoint now);
  // Tells the host what changed during a call.
  void settle(TimePoint now);

  client::Core core;
  client::NodeCache cache;
  client::Observations observations;
  client::Entries entries;
  client::Sends sends;
  client::Placer placer;
  client::Holder holder;
  client::NatCheck nat;
  client::Tracer tracer;
  client::NearNodes near;
  client::NearPlace near_place;
  client::Records records;

 private:
  void on_probe_reply(const Endpoint& from, Bytes message, TimePoint now);
  void on_packet(const Endpoint& from, Bytes message, TimePoint now);
  void on_returned(const Endpoint& from, Bytes message, TimePoint now);
  void on_send_answer(const Endpoint& from, wire::Type type, Bytes message, TimePoint now);
  void on_placer_answer(const Endpoint& from, wire::Type type, Bytes message, TimePoint now);
  // Parses, hands on, and counts what nobody wanted.
  template <class Message, class Take>
  void take(Bytes message, Take&& taken) {
    const auto parsed = Message::parse(message);
    if (!parsed)
      ++core.counters.malformed;
    else if (!taken(*parsed))
      ++core.counters.unsolicited;
  }

  bool told_ready_ = false;
  std::uint64_t observed_changes_ = 0;
  std::uint64_t told_moves_ = 0;
  bool settling_ = false;
};

}  // namespace i3
