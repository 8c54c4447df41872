#include "tests/sim/ring/chord_world.hh"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

namespace i3::sim {
namespace {
// Header, the sender's contact with one IPv4 address, MAC (overlay/wire/ring_messages.hh).
constexpr std::size_t kEnvelope = 4 + 39 + 16;
constexpr std::size_t kProbeSize = 256, kProbeReplySize = 4 + 8 + 18 + 39 + 64;
}  // namespace

LatencyMatrix LatencyMatrix::plane(std::size_t places, Random& random) {
  LatencyMatrix matrix;
  matrix.places_ = places;
  std::vector<std::pair<double, double>> at(places);
  for (auto& [x, y] : at) {
    x = static_cast<double>(random.below(10000)) / 10000;
    y = static_cast<double>(random.below(10000)) / 10000;
  }
  for (const auto& a : at)
    for (const auto& b : at) {
      const double distance = std::hypot(a.first - b.first, a.second - b.second) / std::sqrt(2.0);
      matrix.one_way_.push_back(
          std::chrono::microseconds(static_cast<std::int64_t>(2000 + 78000 * distance)));
    }
  return matrix;
}

std::optional<LatencyMatrix> LatencyMatrix::read(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::vector<std::vector<double>> rows;
  while (std::getline(file, line)) {
    std::istringstream stream(line);
    std::vector<double> row;
    for (double value; stream >> value;) row.push_back(value);
    if (!row.empty()) rows.push_back(std::move(row));
  }
  if (rows.empty()) return std::nullopt;
  LatencyMatrix matrix;
  matrix.places_ = rows.size();
  for (std::size_t a = 0; a < rows.size(); ++a) {
    if (rows[a].size() != rows.size()) return std::nullopt;
    std::vector<double> known;
    for (double value : rows[a])
      if (value > 0) known.push_back(value);
    if (known.empty()) return std::nullopt;
    std::nth_element(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2),
                     known.end());
    const double median = known[known.size() / 2];
    for (std::size_t b = 0; b < rows.size(); ++b) {
      double value = a == b           ? 0
                     : rows[a][b] > 0 ? rows[a][b]
                     : rows[b][a] > 0 ? rows[b][a]
                                      : median;
      matrix.one_way_.push_back(std::chrono::microseconds(static_cast<std::int64_t>(value * 500)));
    }
  }
  return matrix;
}

struct ChordWorld::Node final : ChordOutput {
  Node(ChordWorld& in, Number n)
      : world(in), number(n), random(in.seed_ * 1000003 + n), place(n % in.matrix_.places()) {
    access = std::chrono::microseconds(500 + static_cast<std::int64_t>(random.below(2500)));
    chord = std::make_unique<Chord>(in.settings_, contact_of(n), random, in.log_, *this);
  }
  void send(const wire::NodeContact& to, wire::RingKind kind, Bytes body,
            const wire::NodeContact* via) override {
    world.transmit(number, to, kind, body, via);
  }
  void probe(const Endpoint& to, std::uint64_t nonce) override {
    world.bytes_ += kProbeSize;
    ++world.packets_;
    const Number other = number_of(to);
    if (world.lost(number, other)) return;
    world.push({world.now_ + world.latency(number, other), 0, Event::What::probe, other, number, 0,
                nonce});
  }
  void found(std::uint64_t token, const std::vector<wire::NodeContact>& contacts) override {
    world.finish(number, token, contacts);
  }
  void count(std::string_view what) override {
    auto entry = world.counts_.find(what);
    if (entry == world.counts_.end()) entry = world.counts_.emplace(std::string(what), 0).first;
    ++entry->second;
  }

  ChordWorld& world;
  Number number;
  SeededRandom random;
  std::size_t place;
  Duration access;
  std::unique_ptr<Chord> chord;
  TimePoint armed = kNever;
  TimePoint born;
  bool listed = false;
  RingId listed_as;
};

ChordWorld::ChordWorld(std::uint64_t seed, LatencyMatrix latency, ChordSettings settings)
    : matrix_(std::move(latency)), settings_(settings), random_(seed), seed_(seed) {
  nodes_.push_back(nullptr);  // numbers begin with 1
}

ChordWorld::~ChordWorld() = default;

const Chord& ChordWorld::chord(Number number) const {
  return *nodes_[number]->chord;
}

wire::NodeContact ChordWorld::contact_of(Number number) {
  wire::NodeContact contact;
  for (unsigned i = 0; i < 4; ++i)
    contact.key.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  contact.v4 = Endpoint{IpAddress::v4(0x0b000001 + (number << 8)), 5100};
  return contact;
}

ChordWorld::Number ChordWorld::add() {
  std::vector<Number> entries;
  for (unsigned i = 0; i < 3 && !member_list_.empty(); ++i)
    if (Number one = random_member();
        std::find(entries.begin(), entries.end(), one) == entries.end())
      entries.push_back(one);
  return add_joining(entries);
}

ChordWorld::Number ChordWorld::add_joining(const std::vector<Number>& entries) {
  const auto number = static_cast<Number>(nodes_.size());
  nodes_.push_back(std::make_unique<Node>(*this, number));
  std::vector<ChordSeed> seeds;
  for (Number entry : entries) seeds.push_back({*contact_of(entry).v4, std::nullopt});
  nodes_[number]->born = now_;
  nodes_[number]->chord->start(seeds, now_);
  after(number);
  return number;
}

void ChordWorld::forget(Number number) {
  Node& node = *nodes_[number];
  lived_ += std::chrono::duration<double>(now_ - node.born).count();
  if (node.listed) {
    members_.erase(node.listed_as);
    member_list_.erase(std::find(member_list_.begin(), member_list_.end(), number));
  }
}

void ChordWorld::kill(Number number) {
  forget(number);
  nodes_[number].reset();
}

void ChordWorld::leave(Number number) {
  nodes_[number]->chord->leave(now_);
  kill(number);
}

std::vector<ChordWorld::Number> ChordWorld::living() const {
  std::vector<Number> result;
  for (Number i = 1; i < nodes_.size(); ++i)
    if (nodes_[i]) result.push_back(i);
  return result;
}

ChordWorld::Number ChordWorld::random_member() {
  return member_list_[random_.below(member_list_.size())];
}

double ChordWorld::node_seconds() const {
  double result = lived_;
  for (const auto& node : nodes_)
    if (node) result += std::chrono::duration<double>(now_ - node->born).count();
  return result;
}

void ChordWorld::push(Event event) {
  event.order = order_++;
  events_.push_back(event);
  std::push_heap(events_.begin(), events_.end(), std::greater<>());
}

Duration ChordWorld::direct(Number from, Number to) const {
  auto access = [&](Number n) {
    // The dead ones' too: SeededRandom repeats.
    return nodes_[n] ? nodes_[n]->access : Duration(std::chrono::milliseconds(1));
  };
  return matrix_.between(from % matrix_.places(), to % matrix_.places()) + access(from) +
         access(to);
}

Duration ChordWorld::latency(Number from, Number to) {
  // A tenth of jitter.
  const Duration base = direct(from, to);
  return base + base * static_cast<Duration::rep>(random_.below(100)) / 1000;
}

bool ChordWorld::lost(Number from, Number to) {
  if (to >= nodes_.size()) return true;
  if (loss_ > 0 && static_cast<double>(random_.below(1'000'000)) < loss_ * 1e6) return true;
  return blocked_ && blocked_(from, to);
}

void ChordWorld::transmit(Number from, const wire::NodeContact& to, wire::RingKind kind, Bytes body,
                          const wire::NodeContact* via) {
  if (!lookups_.empty() || beginning_) note_find(from, kind, body);
  std::uint32_t index;
  if (free_messages_.empty()) {
    index = static_cast<std::uint32_t>(messages_.size());
    messages_.emplace_back();
  } else {
    index = free_messages_.back();
    free_messages_.pop_back();
  }
  Message& message = messages_[index];
  message.body.assign(body.begin(), body.end());
  message.sender = nodes_[from]->chord->self();
  message.kind = kind;
  message.relayed_by.reset();
  message.relay_to.reset();
  if (via) message.relay_to = to;
  carry(from, via ? *via : to, index);
}

void ChordWorld::carry(Number from, const wire::NodeContact& to, std::uint32_t index) {
  const Message& message = messages_[index];
  std::size_t size = kEnvelope + message.body.size();
  if (message.relay_to)
    size += kEnvelope + 39;
  else if (message.relayed_by)
    size += kEnvelope;
  const bool relay = message.relay_to || message.relayed_by;
  bytes_ += size;
  by_kind_[static_cast<std::size_t>(relay ? wire::RingKind::relay : message.kind) & 15] += size;
  ++packets_;
  const Number other = number_of(*to.v4);
  if (lost(from, other)) {
    free_messages_.push_back(index);
    return;
  }
  push({now_ + latency(from, other), 0, Event::What::message, other, from, index, 0});
}

// False if the message goes on to another node.
bool ChordWorld::deliver(Number number, std::uint32_t index) {
  Chord& chord = *nodes_[number]->chord;
  if (messages_[index].relay_to) {
    Message& message = messages_[index];
    const wire::NodeContact to = *message.relay_to;
    if (!chord.may_relay(message.sender, to, now_)) return true;
    messages_[index].relay_to.reset();
    messages_[index].relayed_by = chord.self();
    carry(number, to, index);
    return false;
  }
  // Moved out: what is sent meanwhile may let the table grow.
  Message message = std::move(messages_[index]);
  chord.on_message(message.sender, message.kind, message.body, now_,
                   message.relayed_by ? &*message.relayed_by : nullptr);
  messages_[index] = std::move(message);
  return true;
}

// What goes by is watched to learn when a look-up reached the owner.
void ChordWorld::note_find(Number from, wire::RingKind kind, Bytes body) {
  if (kind == wire::RingKind::find) {
    const auto find = wire::FindBody::parse(body);
    if (!find || number_of(*find->asker.v4) != from) return;
    if (beginning_) {
      by_nonce_[find->nonce] = *beginning_;
      lookups_[*beginning_].nonce = find->nonce;
    }
    if (auto entry = by_nonce_.find(find->nonce); entry != by_nonce_.end())
      if (auto lookup = lookups_.find(entry->second); lookup != lookups_.end())
        ++lookup->second.sendings;
  } else if (kind == wire::RingKind::found) {
    const auto found = wire::FoundBody::parse(body);
    if (!found) return;
    auto entry = by_nonce_.find(found->nonce);
    if (entry == by_nonce_.end()) return;
    Lookup& lookup = lookups_[entry->second];
    if (lookup.reached) return;
    lookup.reached = {from, now_};
    lookup.hops = found->hops;
  }
}

void ChordWorld::look_up(Number asker, RingId position, std::function<void(const Outcome&)> done) {
  const std::uint64_t token = next_token_++;
  Lookup lookup;
  lookup.position = position;
  lookup.asker = asker;
  lookup.begun = now_;
  lookup.done = std::move(done);
  lookups_.emplace(token, std::move(lookup));
  beginning_ = token;
  const bool begun = nodes_[asker]->chord->find(token, position, now_);
  beginning_.reset();
  if (!begun) finish(asker, token, {});
  after(asker);
}

void ChordWorld::finish(Number asker, std::uint64_t token,
                        const std::vector<wire::NodeContact>& contacts) {
  auto entry = lookups_.find(token);
  if (entry == lookups_.end() || entry->second.asker != asker) return;
  const Lookup lookup = std::move(entry->second);
  lookups_.erase(entry);
  by_nonce_.erase(lookup.nonce);
  Outcome outcome;
  outcome.answered = !contacts.empty();
  outcome.hops = lookup.hops;
  outcome.sent_anew = lookup.sendings > 0 ? lookup.sendings - 1 : 0;
  outcome.to_answer = now_ - lookup.begun;
  if (outcome.answered) {
    const Number owner = number_of(*contacts.front().v4);
    outcome.right = owner_of(lookup.position) == owner;
    if (owner != asker) outcome.direct = direct(asker, owner);
    if (lookup.reached) outcome.to_owner = lookup.reached->second - lookup.begun;
  }
  lookup.done(outcome);
}

std::optional<ChordWorld::Number> ChordWorld::owner_of(RingId position) const {
  if (members_.empty()) return std::nullopt;
  auto entry = members_.lower_bound(position);
  return entry == members_.end() ? members_.begin()->second : entry->second;
}

// Timer and membership after anything that a core did.
void ChordWorld::after(Number number) {
  Node& node = *nodes_[number];
  const bool member = node.chord->member();
  if (member && !node.listed) {
    node.listed = true;
    node.listed_as = node.chord->id();
    members_[node.listed_as] = number;
    member_list_.push_back(number);
  }
  const TimePoint next = node.chord->next_deadline();
  if (next >= node.armed) return;
  node.armed = next;
  push({next, 0, Event::What::timer, number, 0, 0, 0});
}

void ChordWorld::handle(const Event& event) {
  if (event.what == Event::What::action) {
    auto action = std::move(actions_[event.index]);
    free_actions_.push_back(event.index);
    return action();
  }
  Node* node = event.to < nodes_.size() ? nodes_[event.to].get() : nullptr;
  if (event.what == Event::What::message) {
    if (!node || deliver(event.to, event.index)) free_messages_.push_back(event.index);
  } else if (!node) {
    return;
  } else if (event.what == Event::What::timer) {
    if (node->armed > event.when) return;
    node->armed = kNever;
    node->chord->on_timer(now_);
  } else if (event.what == Event::What::probe) {
    bytes_ += kProbeReplySize;
    ++packets_;
    if (!lost(event.to, event.from))
      push({now_ + latency(event.to, event.from), 0, Event::What::probe_reply, event.from, event.to,
            0, event.nonce});
    return;
  } else if (event.what == Event::What::probe_reply) {
    wire::ProbeReply reply;
    reply.nonce = event.nonce;
    reply.observed = *contact_of(event.to).v4;
    reply.contact = contact_of(event.from);
    if (nodes_[event.from]) reply.contact = nodes_[event.from]->chord->self();
    node->chord->on_probe_reply(reply, now_);
  }
  if (node) after(event.to);
}

void ChordWorld::run_until(TimePoint when) {
  while (!events_.empty() && events_.front().when <= when) {
    std::pop_heap(events_.begin(), events_.end(), std::greater<>());
    const Event event = events_.back();
    events_.pop_back();
    now_ = event.when;
    handle(event);
  }
  now_ = when;
}

void ChordWorld::at(TimePoint when, std::function<void()> action) {
  std::uint32_t index;
  if (free_actions_.empty()) {
    index = static_cast<std::uint32_t>(actions_.size());
    actions_.emplace_back();
  } else {
    index = free_actions_.back();
    free_actions_.pop_back();
  }
  actions_[index] = std::move(action);
  push({when, 0, Event::What::action, 0, 0, index, 0});
}

void ChordWorld::every(double rate, std::function<void()> action) {
  // Exponential waits: a Poisson process.
  const double uniform = (static_cast<double>(random_.below(1u << 30)) + 1) / (1u << 30);
  const auto wait = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(-std::log(uniform) / rate));
  at(now_ + wait, [this, rate, action = std::move(action), generation = generation_] {
    if (generation != generation_) return;
    action();
    every(rate, action);
  });
}

std::string ChordWorld::fault() const {
  for (Number i = 1; i < nodes_.size(); ++i)
    if (nodes_[i] && !nodes_[i]->listed) return std::to_string(i) + " is no member";
  std::vector<Number> order;
  for (const auto& [id, number] : members_) order.push_back(number);
  const std::size_t count = order.size();
  for (std::size_t i = 0; i < count; ++i) {
    const RingView& view = chord(order[i]).view();
    const std::string who = std::to_string(order[i]);
    if (count == 1) return view.alone() ? "" : who + " is alone and believes otherwise";
    const RingId before = chord(order[(i + count - 1) % count]).id();
    if (!view.predecessor() || view.predecessor()->id != before)
      return who + " has a wrong predecessor";
    const std::size_t expected = std::min(count - 1, settings_.successors);
    if (view.successors().size() != expected) return who + " has a list of the wrong length";
    for (std::size_t s = 0; s < expected; ++s)
      if (view.successors()[s].id != chord(order[(i + 1 + s) % count]).id())
        return who + " has a wrong successor at place " + std::to_string(s);
  }
  return "";
}

std::string ChordWorld::broken() const {
  if (members_.size() < 2) return "";
  auto next = [&](Number number) -> Number {
    for (const RingPeer& peer : chord(number).view().successors())
      if (auto entry = members_.find(peer.id); entry != members_.end()) return entry->second;
    return 0;
  };
  Number inside = members_.begin()->second;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const Number after = next(inside);
    if (after == 0) return std::to_string(inside) + " has no live successor";
    inside = after;
  }
  std::set<Number> cycle;
  unsigned descents = 0;
  for (Number node = inside; cycle.insert(node).second;) {
    const Number after = next(node);
    if (chord(after).id() <= chord(node).id()) ++descents;
    node = after;
  }
  if (descents != 1) return "the ring goes round " + std::to_string(descents) + " times";
  for (const auto& [id, number] : members_) {
    Number at = number;
    for (std::size_t i = 0; i <= members_.size() && !cycle.contains(at); ++i) {
      at = next(at);
      if (at == 0) return std::to_string(number) + " has no live successor";
    }
    if (!cycle.contains(at)) return std::to_string(number) + " belongs to another ring";
  }
  return "";
}

bool ChordWorld::ideal_within(Duration limit, Duration step) {
  const TimePoint end = now_ + limit;
  while (!ideal()) {
    if (now_ >= end) return false;
    run_until(std::min(now_ + step, end));
  }
  return true;
}

}  // namespace i3::sim
