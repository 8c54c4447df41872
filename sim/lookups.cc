#include "sim/lookups.hh"

#include <cmath>
#include <utility>

namespace i3::sim {
namespace {
constexpr Duration kPatience = std::chrono::seconds(10);
// No look-up longer than this is held up in a ring message; see wire::RingMessage.
constexpr std::uint8_t kRing = static_cast<std::uint8_t>(wire::Type::ring);
constexpr std::uint8_t kFound = static_cast<std::uint8_t>(wire::RingKind::found);

double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
}  // namespace

Duration poisson_wait(Random& random, double per_second) {
  const double uniform = static_cast<double>((random.u64() >> 11) + 1) / 9007199254740993.0;
  return Duration(static_cast<Duration::rep>(-std::log(uniform) / per_second * 1e9));
}

float percentile(std::vector<float> values, double share) {
  if (values.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

void LookupTally::add(const LookupTally& other) {
  right += other.right;
  wrong += other.wrong;
  unknown += other.unknown;
  departed += other.departed;
  hops += other.hops;
  most_hops = std::max(most_hops, other.most_hops);
  measured += other.measured;
  took += other.took;
  reached += other.reached;
  direct += other.direct;
  stretch.insert(stretch.end(), other.stretch.begin(), other.stretch.end());
  one_way_stretch.insert(one_way_stretch.end(), other.one_way_stretch.begin(),
                         other.one_way_stretch.end());
}

void Lookups::ask() {
  if (ring_.members().empty()) return;
  // Nodes are in the order in which they came, so any of them is as good as another.
  SimNode* asker = nullptr;
  while (asker == nullptr || !asker->member())
    asker = &ring_[network_.random().below(ring_.size())];
  const RingId position{network_.random().u64(), network_.random().u64()};
  const std::uint64_t number = ++number_;
  open_[number] = {position, network_.now(), asker->host(), {ring_.owner_of(position).id()},
                   0,        network_.now()};
  by_position_[position] = number;
  asker->ask(position, [this, number](const std::vector<wire::NodeContact>& contacts) {
    finish(number, contacts);
  });
}

void Lookups::set_rate(double per_second) {
  rate_ = per_second;
  network_.cancel(timer_);
  timer_ = 0;
  arm();
}

void Lookups::arm() {
  if (rate_ <= 0) return;
  const TimePoint next = network_.now() + poisson_wait(network_.random(), rate_);
  timer_ = network_.at(machine_, next, [this] {
    ask();
    arm();
  });
}

// The owner's answer says how many members passed the question on.
void Lookups::on_sent(Bytes message) {
  if (message.size() < 3 || message[1] != kRing || message[2] != kFound || by_position_.empty())
    return;
  const auto ring = wire::RingMessage::parse(message);
  const auto found = ring ? wire::FoundBody::parse(ring->body) : std::nullopt;
  if (!found) return;
  auto number = by_position_.find(found->position);
  if (number == by_position_.end()) return;
  Open& open = open_.at(number->second);
  open.hops = found->hops;
  open.reached = network_.now();
}

void Lookups::on_members() {
  if (ring_.members().empty()) return;
  for (auto& [number, open] : open_) {
    const RingId owner = ring_.owner_of(open.position).id();
    if (owner != open.owners.back()) open.owners.push_back(owner);
  }
}

void Lookups::finish(std::uint64_t number, const std::vector<wire::NodeContact>& contacts) {
  auto entry = open_.find(number);
  if (entry == open_.end()) return;
  const Open open = std::move(entry->second);
  open_.erase(entry);
  by_position_.erase(open.position);
  if (contacts.empty()) {
    ++tally_.unknown;
    return;
  }
  const RingId said = contacts.front().ring_id();
  if (std::find(open.owners.begin(), open.owners.end(), said) == open.owners.end()) {
    ++tally_.wrong;
    return;
  }
  ++tally_.right;
  tally_.hops += open.hops;
  tally_.most_hops = std::max<std::uint64_t>(tally_.most_hops, open.hops);
  auto owner = ring_.members().find(said);
  if (owner == ring_.members().end() || owner->second->host() == open.asker) return;
  const double direct = in_seconds(sites_.distance(open.asker, owner->second->host()));
  const double took = in_seconds(network_.now() - open.asked);
  const double reached = in_seconds(open.reached - open.asked);
  ++tally_.measured;
  tally_.took += took;
  tally_.reached += reached;
  tally_.direct += direct;
  tally_.stretch.push_back(static_cast<float>(took / (2 * direct)));
  tally_.one_way_stretch.push_back(static_cast<float>(reached / direct));
}

void Lookups::give_up() {
  for (auto entry = open_.begin(); entry != open_.end();) {
    const Open& open = entry->second;
    const bool died = !network_.alive(open.asker);
    if (!died && open.asked + kPatience > network_.now()) {
      ++entry;
      continue;
    }
    ++(died ? tally_.departed : tally_.unknown);
    by_position_.erase(open.position);
    entry = open_.erase(entry);
  }
}

LookupTally Lookups::take() {
  give_up();
  return std::exchange(tally_, {});
}

}  // namespace i3::sim
