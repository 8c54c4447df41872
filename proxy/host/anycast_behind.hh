// Owns names behind groups of gateways: an address each that stays whoever stands for the group,
// and the questions that its members have not answered yet.
#pragma once

#include <unordered_map>

#include "proxy/host/host.hh"

namespace i3 {

struct AnycastBehindCounters {
  std::uint64_t asked = 0;        // questions, each perhaps of several members
  std::uint64_t asked_again = 0;  // of another member, because one fell silent
  std::uint64_t failed = 0;       // by no member answered
  std::uint64_t no_room = 0;
  std::uint64_t park_full = 0;
  std::uint64_t park_lost = 0;  // packets that waited for a name that went
};

// What a member says of a name is kept by GatewayNames, for each member apart; here is what all of
// them have in common. Sans-I/O, a part of AnycastNames.
class AnycastBehind {
 public:
  static constexpr std::size_t kMaxNames = 16384;
  static constexpr std::size_t kMaxQuestions = 1024;
  static constexpr std::size_t kMaxParked = 8;  // of a name, until a member said what it is there
  static constexpr Duration kPatience = std::chrono::milliseconds(4500);
  static constexpr Duration kLookEvery = std::chrono::milliseconds(200);
  static constexpr Duration kLogEvery = std::chrono::seconds(60);

  struct Name {
    PublicKey group;
    std::string name;
    AddressPool::Slot slot = AddressPool::kNoSlot;
    VirtualIp ipv4, ipv6;  // as programs here know it
    TimePoint used{}, logged{};
    std::vector<std::vector<std::uint8_t>> parked;
  };
  struct Ways {
    // Whom to ask, as Anycast::use(); nothing while nobody is known.
    std::function<std::optional<PublicKey>(const PublicKey& group, TimePoint)> member;
    std::function<bool(const PublicKey& group)> absent;
    // A member owes an answer: is it there?
    std::function<void(const PublicKey& group, Peer&, TimePoint)> owes;
    // A packet that waited: to be looked at again, or answered because nobody has the name.
    std::function<void(Bytes, TimePoint)> again, refuse;
  };

  AnycastBehind(Host& host, Clock& clock, Ways ways);

  // As GatewayNames::ask(), of whoever stands for the group.
  std::variant<GatewayAnswer, std::uint64_t> ask(const PublicKey& group, std::string_view name,
                                                 TimePoint now);
  std::function<void(std::uint64_t number, const GatewayAnswer& answer)> answered;
  // GatewayNames' answer to a question, perhaps to one of these.
  void on_answer(std::uint64_t number, const GatewayAnswer& answer);
  // Another member stands for the group, or nobody.
  void changed(const PublicKey& group, TimePoint now);

  Name* at(const IpAddress& address) const;
  // Whether that member said what the name is there, and the address that it has here for it.
  bool known_at(const Name& name, const PublicKey& member) const;
  std::optional<IpAddress> address_at(const Name& name, const PublicKey& member,
                                      Family family) const;
  void touch(Name& name, TimePoint now);
  // Keeps a packet until the member said so, and asks.
  void park(Name& name, Bytes packet, TimePoint now);

  void forget(const PublicKey& group);
  TimePoint next_deadline() const { return next_; }
  void on_timer(TimePoint now);
  void sweep(TimePoint now, Duration idle);
  std::size_t size() const { return by_slot_.size(); }
  void each(const std::function<void(const Name&)>& visit) const;
  const AnycastBehindCounters& counters() const { return counters_; }

  // The state log's line is
  //   through GROUP IPV4 IPV6 USED NAME
  // and says that the name had those addresses.
  std::string state_lines() const;
  // Takes up such lines of groups that are known; others are skipped.
  void restore(std::string_view state, const std::function<bool(const PublicKey&)>& is_group);

 private:
  struct Question {
    PublicKey group;
    std::string name;
    std::optional<PublicKey> member;  // who was asked
    std::uint64_t number_there = 0;   // GatewayNames'; 0: nobody answers
    TimePoint deadline{}, next_look{};
  };

  Name* find(const PublicKey& group, std::string_view name) const;
  Name* add(const PublicKey& group, std::string_view name);
  void remove(Name& name);
  // Asks whoever stands for the group now; an answer that is known at once is returned.
  std::optional<GatewayAnswer> ask_member(std::uint64_t number, Question& question, TimePoint now);
  void look_after(std::uint64_t number, TimePoint now);
  // What the answer means here.
  GatewayAnswer adopt(const Question& question, const GatewayAnswer& answer, TimePoint now);
  void finish(std::uint64_t number, const GatewayAnswer& answer, TimePoint now);
  std::string line(const Name& name, TimePoint now) const;
  void restore_line(std::string_view text, const std::function<bool(const PublicKey&)>& is_group);

  Host& host_;
  Clock& clock_;
  Ways ways_;
  std::unordered_map<AddressPool::Slot, std::unique_ptr<Name>> by_slot_;
  std::unordered_map<std::string, Name*> by_name_;
  std::unordered_map<std::uint64_t, Question> questions_;
  std::unordered_map<std::uint64_t, std::uint64_t> numbers_;  // GatewayNames' to ours
  std::unordered_map<std::string, std::uint64_t> asked_;      // name to its question
  std::uint64_t last_number_ = 0;
  TimePoint next_ = kNever;
  AnycastBehindCounters counters_;
};

}  // namespace i3
