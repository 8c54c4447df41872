#include "gateways/to_ip/inner_names.hh"

#include <charconv>

#include "overlay/wire/names.hh"
#include "proxy/host/gateway_names.hh"
#include "proxy/host/state.hh"

namespace i3 {
namespace {

std::string text_of(const InnerName::Side& side) {
  return side.real ? side.real->text() : "-";
}

}  // namespace

InnerName* InnerNames::find(const PublicKey& client, std::string_view name) const {
  const auto found = by_name_.find(keyed_name(client, name));
  return found == by_name_.end() ? nullptr : found->second;
}

InnerName* InnerNames::at(const IpAddress& inner) const {
  const auto found = by_slot_.find(pool_.slot_of(inner));
  return found == by_slot_.end() ? nullptr : found->second.get();
}

void InnerNames::each(const std::function<void(InnerName&)>& visit) const {
  for (const auto& [slot, name] : by_slot_) visit(*name);
}

void InnerNames::touch(InnerName& name, TimePoint now) {
  name.used = now;
  order_.splice(order_.end(), order_, name.in_order);
  name.siblings->splice(name.siblings->end(), *name.siblings, name.in_siblings);
}

InnerName* InnerNames::add(const PublicKey& client, std::string_view text, TimePoint now) {
  if (InnerName* known = find(client, text)) return known;
  const auto count = of_client_.find(client);
  if (count != of_client_.end() && count->second.size() >= kMaxOfClient)
    remove(*count->second.front());
  if (by_slot_.size() >= kMaxNames) remove(*order_.front());
  const AddressPool::Entry* entry =
      pool_.assign(gateway_name_id(gateway_, client, text), Standing::known);
  if (entry == nullptr || by_slot_.contains(entry->slot)) return nullptr;
  auto name = std::make_unique<InnerName>();
  name->client = client;
  name->name = std::string(text);
  name->slot = entry->slot;
  name->v4.inner = entry->ipv4;
  name->v6.inner = entry->ipv6;
  name->used = now;
  InnerName* kept = name.get();
  by_name_[keyed_name(client, text)] = kept;
  by_slot_[kept->slot] = std::move(name);
  kept->siblings = &of_client_[client];
  kept->in_siblings = kept->siblings->insert(kept->siblings->end(), kept);
  kept->in_order = order_.insert(order_.end(), kept);
  return kept;
}

void InnerNames::remove(InnerName& name) {
  if (removed) removed(name);
  pool_.release(gateway_name_id(gateway_, name.client, name.name));
  order_.erase(name.in_order);
  name.siblings->erase(name.in_siblings);
  if (name.siblings->empty()) of_client_.erase(PublicKey(name.client));
  by_name_.erase(keyed_name(name.client, name.name));
  by_slot_.erase(name.slot);
}

void InnerNames::remove_if(const std::function<bool(const InnerName&)>& over) {
  std::vector<InnerName*> gone;
  for (const auto& [slot, name] : by_slot_)
    if (over(*name)) gone.push_back(name.get());
  for (InnerName* name : gone) remove(*name);
}

std::string InnerNames::line(const InnerName& name, TimePoint now, WallTime wall) {
  const Duration ago = now - std::min(name.used, now);
  return "inner " + name.client.text() + ' ' + name.v4.inner.text() + ' ' + name.v6.inner.text() +
         ' ' + text_of(name.v4) + ' ' + text_of(name.v6) + ' ' +
         std::to_string(wall - std::min(wall, static_cast<WallTime>(ago.count()))) + ' ' +
         name.name;
}

std::string InnerNames::gone_line(const InnerName& name) {
  return "outer " + name.client.text() + ' ' + name.name;
}

void InnerNames::restore(std::string_view state, TimePoint now, WallTime wall) {
  while (!state.empty()) {
    const std::size_t end = state.find('\n');
    if (end == state.npos) return;  // cut off while it was written
    restore_line(state.substr(0, end), now, wall);
    state.remove_prefix(end + 1);
  }
}

void InnerNames::restore_line(std::string_view text, TimePoint now, WallTime wall) {
  if (!text.starts_with("inner ") && !text.starts_with("outer ")) return;
  const auto words = words_of(text);
  const auto client = words.size() >= 3 ? PublicKey::from_text(words[1]) : std::nullopt;
  if (!client) return;
  if (words[0] == "outer" && words.size() == 3) {
    if (InnerName* name = find(*client, words[2])) remove(*name);
    return;
  }
  if (words[0] != "inner" || words.size() != 8 || !wire::NameQuestion::fits(words[7]) ||
      by_slot_.size() >= kMaxNames)
    return;
  const auto ipv4 = IpAddress::parse(words[2]);
  const auto ipv6 = IpAddress::parse(words[3]);
  const auto real4 = IpAddress::parse(words[4]);
  const auto real6 = IpAddress::parse(words[5]);
  std::uint64_t used = 0;
  const auto [end, error] =
      std::from_chars(words[6].data(), words[6].data() + words[6].size(), used);
  const bool good = ipv4 && ipv6 && ipv4->is_v4() && !ipv6->is_v4() && error == std::errc{} &&
                    (!real4 || real4->is_v4()) && (!real6 || !real6->is_v4());
  if (!good) return;
  if (find(*client, words[7]) == nullptr && pool_.ipv4().contains(*ipv4)) {
    const AddressPool::Record record{gateway_name_id(gateway_, *client, words[7]), VirtualIp(*ipv4),
                                     VirtualIp(*ipv6), Standing::known};
    pool_.restore(std::span(&record, 1));
  }
  InnerName* name = add(*client, words[7], now);
  if (name == nullptr) return;
  name->v4.real = real4;
  name->v6.real = real6;
  const Duration ago(wall > used ? static_cast<std::int64_t>(wall - used) : 0);
  name->used = name->logged = now - std::min<Duration>(ago, std::chrono::hours(24));
}

}  // namespace i3
