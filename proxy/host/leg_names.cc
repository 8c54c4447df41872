#include "proxy/host/leg_names.hh"

#include "proxy/host/gateway_names.hh"

namespace i3 {
namespace {

std::string question_key(const PublicKey& client, const PublicKey& gateway, std::uint64_t nonce) {
  std::string key = keyed_name(client, as_text(gateway.bytes));
  for (unsigned shift = 0; shift < 64; shift += 8) key += static_cast<char>(nonce >> shift);
  return key;
}

}  // namespace

LegNames::Name* LegNames::find(const PublicKey& client, const PublicKey& gateway,
                               const IpAddress& inner) const {
  if (by_slot_.empty()) return nullptr;
  const auto conversation = conversations_.find({client, gateway});
  if (conversation == conversations_.end()) return nullptr;
  const auto found = conversation->second.by_inner.find(inner);
  return found == conversation->second.by_inner.end() ? nullptr : found->second;
}

LegNames::Name* LegNames::at(const IpAddress& here) const {
  if (by_slot_.empty()) return nullptr;
  const auto found = by_slot_.find(pool_.slot_of(here));
  return found == by_slot_.end() ? nullptr : found->second.get();
}

void LegNames::touch(Name& name, TimePoint now) {
  name.used = now;
  std::list<Name*>& order = conversations_.at({name.client, name.gateway}).order;
  order.splice(order.end(), order, name.in_order);
}

// A question that is repeated is one question: it has the same nonce.
void LegNames::asked(const PublicKey& client, const PublicKey& gateway,
                     const wire::NameQuestion& question) {
  std::string key = question_key(client, gateway, question.nonce);
  const auto [kept, fresh] = asked_.try_emplace(key, question.name);
  if (!fresh) return;
  asked_order_.push_back(std::move(key));
  if (asked_order_.size() <= kMaxAsked) return;
  no_room_ += asked_.erase(asked_order_.front());  // nothing where it was answered
  asked_order_.pop_front();
}

void LegNames::found(const PublicKey& client, const PublicKey& gateway,
                     const wire::NameFound& found, TimePoint now) {
  const auto question = asked_.find(question_key(client, gateway, found.nonce));
  if (question == asked_.end()) return;
  const std::string text = std::move(question->second);
  asked_.erase(question);
  if (!found.ipv4 && !found.ipv6) return;
  Name* name = nullptr;
  if (const auto conversation = conversations_.find({client, gateway});
      conversation != conversations_.end())
    if (const auto known = conversation->second.by_name.find(text);
        known != conversation->second.by_name.end())
      name = known->second;
  if (name == nullptr) name = add(client, gateway, text, found.ipv4);
  if (name == nullptr) {
    ++no_room_;
    return;
  }
  bind(conversations_.at({client, gateway}), *name, found);
  touch(*name, now);
}

LegNames::Name* LegNames::add(const PublicKey& client, const PublicKey& gateway,
                              const std::string& text, const std::optional<IpAddress>& wished4) {
  if (const auto own = conversations_.find({client, gateway});
      own != conversations_.end() && own->second.order.size() >= kMaxOfConversation)
    remove(*own->second.order.front());
  if (by_slot_.size() >= kMaxNames) return nullptr;
  AnnouncedAddresses wished;
  if (wished4 && pool_.ipv4().contains(*wished4)) wished.ipv4 = wished4;
  const AddressPool::Entry* entry =
      pool_.assign(gateway_name_id(gateway, client, text), Standing::known, wished);
  if (entry == nullptr || by_slot_.contains(entry->slot)) return nullptr;
  auto name = std::make_unique<Name>();
  name->client = client;
  name->gateway = gateway;
  name->name = text;
  name->slot = entry->slot;
  name->ipv4 = entry->ipv4;
  name->ipv6 = entry->ipv6;
  Name* kept = name.get();
  Conversation& conversation = conversations_[{client, gateway}];
  conversation.by_name[text] = kept;
  kept->in_order = conversation.order.insert(conversation.order.end(), kept);
  by_slot_[kept->slot] = std::move(name);
  return kept;
}

void LegNames::bind(Conversation& conversation, Name& name, const wire::NameFound& found) {
  for (const auto& old : {name.inner4, name.inner6}) {
    const auto bound = old ? conversation.by_inner.find(*old) : conversation.by_inner.end();
    if (bound != conversation.by_inner.end() && bound->second == &name)
      conversation.by_inner.erase(bound);
  }
  name.inner4 = found.ipv4;
  name.inner6 = found.ipv6;
  for (const auto& fresh : {name.inner4, name.inner6})
    if (fresh) conversation.by_inner[*fresh] = &name;
}

void LegNames::remove(Name& name) {
  const auto conversation = conversations_.find({name.client, name.gateway});
  bind(conversation->second, name, {});
  conversation->second.by_name.erase(name.name);
  conversation->second.order.erase(name.in_order);
  if (conversation->second.order.empty()) conversations_.erase(conversation);
  pool_.release(gateway_name_id(name.gateway, name.client, name.name));
  by_slot_.erase(AddressPool::Slot{name.slot});
}

void LegNames::forget(const PublicKey& client, const PublicKey& gateway) {
  const auto conversation = conversations_.find({client, gateway});
  if (conversation == conversations_.end()) return;
  const std::list<Name*> gone = conversation->second.order;
  for (Name* name : gone) remove(*name);
}

void LegNames::sweep(TimePoint now, Duration idle) {
  std::vector<Name*> gone;
  for (const auto& [slot, name] : by_slot_)
    if (now > name->used + idle) gone.push_back(name.get());
  for (Name* name : gone) remove(*name);
}

}  // namespace i3
