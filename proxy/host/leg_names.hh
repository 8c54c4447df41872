// Owns, on a middle-box, the names behind gateways that conversations through it use: which address
// here stands for (client, gateway, name).
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>

#include "overlay/wire/names.hh"
#include "proxy/packet/address_pool.hh"
#include "proxy/packet/ip_packet.hh"

namespace i3 {

// A client's questions and its gateway's answers pass the middle-box as they are, and so do the
// inner addresses that packets bear. Here each name has an address of its own as well, which is
// what the middle-box's tools see: the inner one wherever that is free. Sans-I/O, a part of Host.
class LegNames {
 public:
  static constexpr std::size_t kMaxNames = 65536;
  static constexpr std::size_t kMaxOfConversation = 2048;
  static constexpr std::size_t kMaxAsked = 4096;  // questions without an answer

  struct Name {
    PublicKey client, gateway;
    std::string name;
    AddressPool::Slot slot = AddressPool::kNoSlot;
    VirtualIp ipv4, ipv6;                     // here
    std::optional<IpAddress> inner4, inner6;  // in both sessions
    TimePoint used{};
    std::list<Name*>::iterator in_order;  // of its conversation, unused for longest first

    const std::optional<IpAddress>& inner(Family family) const {
      return family == Family::v4 ? inner4 : inner6;
    }
    const IpAddress& here(Family family) const {
      return (family == Family::v4 ? ipv4 : ipv6).address();
    }
  };

  explicit LegNames(AddressPool& pool) : pool_(pool) {}

  // What passes between that client and that gateway; an answer to nothing that was asked is none.
  void asked(const PublicKey& client, const PublicKey& gateway, const wire::NameQuestion& question);
  void found(const PublicKey& client, const PublicKey& gateway, const wire::NameFound& found,
             TimePoint now);
  // By inner address, and by address here; null for all others.
  Name* find(const PublicKey& client, const PublicKey& gateway, const IpAddress& inner) const;
  Name* at(const IpAddress& here) const;
  void touch(Name& name, TimePoint now);

  void forget(const PublicKey& client, const PublicKey& gateway);
  void sweep(TimePoint now, Duration idle);
  std::size_t size() const { return by_slot_.size(); }
  // Names that got no address here, and questions forgotten before their answer.
  std::uint64_t no_room() const { return no_room_; }

 private:
  using Ends = std::pair<PublicKey, PublicKey>;  // client, gateway
  struct Conversation {
    std::list<Name*> order;
    std::unordered_map<std::string, Name*> by_name;
    std::unordered_map<IpAddress, Name*> by_inner;
  };

  Name* add(const PublicKey& client, const PublicKey& gateway, const std::string& text,
            const std::optional<IpAddress>& wished4);
  void bind(Conversation& conversation, Name& name, const wire::NameFound& found);
  void remove(Name& name);

  AddressPool& pool_;
  std::unordered_map<AddressPool::Slot, std::unique_ptr<Name>> by_slot_;
  std::map<Ends, Conversation> conversations_;          // with a name each
  std::unordered_map<std::string, std::string> asked_;  // ends and nonce, to the name
  std::deque<std::string> asked_order_;
  std::uint64_t no_room_ = 0;
};

}  // namespace i3
