// Owns the choice of virtual addresses.
#include "proxy/packet/address_pool.hh"

#include "overlay/base/keys.hh"

namespace i3 {
namespace {

constexpr std::uint32_t kStubHost = 53;
constexpr std::uint32_t kAttempts = 32;          // by hash, before going on one by one
constexpr std::uint32_t kAnnouncedAttempts = 8;  // choices that an announcer may have come to
constexpr std::uint32_t kScanned = 65536;
constexpr unsigned kV6PrefixBits = 48;

using Digest = std::array<std::uint8_t, 16>;

Digest hash_id(std::string_view domain, const Id& id, std::uint32_t attempt, Bytes key = {}) {
  if (attempt == 0) return blake2b<16>(domain, {id.bytes}, key);
  std::array<std::uint8_t, 4> count;
  Writer(count).u32(attempt);
  return blake2b<16>(domain, {id.bytes, count}, key);
}

std::uint32_t host_mask(const IpPrefix& pool) {
  return 0xffffffffu >> pool.length;
}

VirtualIp in_pool(const IpPrefix& pool, const Digest& digest) {
  const std::uint32_t bits = Reader(digest).u32();
  return VirtualIp(IpAddress::v4(pool.address.to_v4() | (bits & host_mask(pool))));
}

IpAddress v6_below(const IpPrefix& prefix, Bytes low80) {
  IpAddress address = prefix.address;
  std::copy_n(low80.data(), 10, address.bytes.data() + kV6PrefixBits / 8);
  return address;
}

IpAddress v6_host(const IpPrefix& prefix, std::uint8_t host) {
  std::array<std::uint8_t, 10> low{};
  low[9] = host;
  return v6_below(prefix, low);
}

IpPrefix prefix_of(Bytes number) {
  const Digest digest = blake2b<16>("i3 virtual ipv6 prefix", {number});
  IpAddress address;
  address.bytes[0] = 0xfd;
  std::copy_n(digest.data(), 5, address.bytes.data() + 1);
  return {address, kV6PrefixBits};
}

}  // namespace

IpPrefix virtual_ipv6_prefix(std::uint8_t number) {
  static const IpPrefix first = prefix_of({});
  return number == 0 ? first : prefix_of(Bytes(&number, 1));
}

VirtualIp preferred_ipv4(const IpPrefix& pool, const Id& id, std::uint32_t attempt) {
  return in_pool(pool, hash_id("i3 virtual ipv4", id, attempt));
}

VirtualIp preferred_ipv6(const Id& id, std::uint32_t attempt, const IpPrefix& prefix) {
  return VirtualIp(v6_below(prefix, hash_id("i3 virtual ipv6", id, attempt)));
}

std::string AddressPool::check(const IpPrefix& ipv4) {
  if (!ipv4.is_v4() || ipv4.length < 8 || ipv4.length > 24)
    return ipv4.text() + " cannot be the pool; allowed is an IPv4 block from /8 to /24";
  const std::uint32_t first = ipv4.address.to_v4() >> 24;
  if (first == 0 || first == 127 || first >= 224)
    return ipv4.text() + " cannot be the pool; hosts do not route it. Use a private block";
  return {};
}

AddressPool::AddressPool(Settings settings, Random& random)
    : settings_(std::move(settings)),
      secret_(random.array<32>()),
      by_ipv4_(random.u64()),
      by_ipv6_(random.u64()),
      by_id_(random.u64()) {
  assert(check(settings_.ipv4).empty());
}

std::uint64_t AddressPool::IdKey::hash(std::uint64_t secret) const {
  Reader reader(id.bytes);
  const std::uint64_t first = mix(reader.u64(), reader.u64(), secret);
  return mix(first ^ reader.u64(), reader.u64(), secret);
}

AddressPool::V6Key AddressPool::key6(const IpAddress& address) {
  Reader reader(Bytes(address.bytes).subspan(kV6PrefixBits / 8));
  V6Key key;
  key.words[0] = reader.u16();
  key.words[1] = reader.u32();
  key.words[2] = reader.u32();
  return key;
}

VirtualIp AddressPool::stub4() const {
  return VirtualIp(IpAddress::v4(settings_.ipv4.address.to_v4() + kStubHost));
}
VirtualIp AddressPool::stub6() const {
  return VirtualIp(v6_host(settings_.ipv6, kStubHost));
}

bool AddressPool::in_ipv6(const IpAddress& address) const {
  return std::equal(address.bytes.begin(), address.bytes.begin() + kV6PrefixBits / 8,
                    settings_.ipv6.address.bytes.begin());
}

bool AddressPool::avoided(const IpAddress& address) const {
  return std::any_of(settings_.avoid.begin(), settings_.avoid.end(), [&](const IpPrefix& prefix) {
    return prefix.length != 0 && prefix.contains(address);
  });
}

bool AddressPool::reserved4(std::uint32_t address) const {
  const std::uint32_t host = address & host_mask(settings_.ipv4);
  if (!settings_.ipv4.contains(IpAddress::v4(address))) return false;
  return host == 0 || host == host_mask(settings_.ipv4) || host == kStubHost;
}

bool AddressPool::free4(std::uint32_t address) const {
  return !reserved4(address) && by_ipv4_.find({address}) == kNoSlot &&
         !avoided(IpAddress::v4(address));
}

bool AddressPool::free6(const IpAddress& address) const {
  return address != v6_host(settings_.ipv6, 0) && address != v6_host(settings_.ipv6, kStubHost) &&
         by_ipv6_.find(key6(address)) == kNoSlot && !avoided(address);
}

// One of the first choices of the ID in this pool, or outside an address that could be one in a
// pool of at least 16 host bits.
bool AddressPool::hash_shaped4(const Id& id, const IpAddress& address) const {
  const bool inside = settings_.ipv4.contains(address);
  if (!inside && !address.is_private()) return false;
  const std::uint32_t mask = inside ? host_mask(settings_.ipv4) : 0xffffu;
  for (std::uint32_t attempt = 0; attempt < kAnnouncedAttempts; ++attempt) {
    const std::uint32_t bits = Reader(hash_id("i3 virtual ipv4", id, attempt)).u32();
    if (((bits ^ address.to_v4()) & mask) == 0) return true;
  }
  return false;
}

bool AddressPool::may_hold4(const Id& id, const IpAddress& address, Standing standing) const {
  if (!address.is_v4() || !free4(address.to_v4())) return false;
  if (settings_.ipv4.contains(address)) return true;
  return standing != Standing::stranger && hash_shaped4(id, address);
}

VirtualIp AddressPool::secret_ipv4(const Id& id, std::uint32_t attempt) const {
  return in_pool(settings_.ipv4, hash_id("i3 virtual ipv4 of a stranger", id, attempt, secret_));
}

std::optional<VirtualIp> AddressPool::choose4(const Id& id, Standing standing,
                                              const AnnouncedAddresses& announced) const {
  const bool stranger = standing == Standing::stranger;
  if (!stranger && announced.ipv4 && announced.ipv4->is_v4() && free4(announced.ipv4->to_v4()) &&
      hash_shaped4(id, *announced.ipv4))
    return VirtualIp(*announced.ipv4);
  VirtualIp choice;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    choice = stranger ? secret_ipv4(id, attempt) : preferred_ipv4(settings_.ipv4, id, attempt);
    if (free4(choice.address().to_v4())) return choice;
  }
  // A small or crowded pool: the next free one.
  const std::uint32_t mask = host_mask(settings_.ipv4);
  const std::uint32_t base = settings_.ipv4.address.to_v4();
  const std::uint32_t start = choice.address().to_v4();
  for (std::uint32_t step = 1; step <= std::min(mask, kScanned); ++step) {
    const std::uint32_t address = base | ((start + step) & mask);
    if (free4(address)) return VirtualIp(IpAddress::v4(address));
  }
  return std::nullopt;
}

std::optional<VirtualIp> AddressPool::choose6(const Id& id) const {
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    const VirtualIp choice = preferred_ipv6(id, attempt, settings_.ipv6);
    if (free6(choice.address())) return choice;
  }
  return std::nullopt;
}

bool AddressPool::room_for(Standing standing) const {
  return size() < settings_.max_entries &&
         (standing != Standing::stranger || strangers_ < settings_.max_strangers);
}

const AddressPool::Entry* AddressPool::add(const Id& id, Standing standing, VirtualIp ipv4,
                                           VirtualIp ipv6) {
  Slot slot;
  if (unused_.empty()) {
    slot = static_cast<Slot>(entries_.size());
    entries_.emplace_back();
  } else {
    slot = unused_.back();
    unused_.pop_back();
  }
  Entry& entry = entries_[slot];
  entry = {id, ipv4, ipv6, standing, !settings_.ipv4.contains(ipv4.address()), slot};
  by_ipv4_.insert({ipv4.address().to_v4()}, slot);
  by_ipv6_.insert(key6(ipv6.address()), slot);
  by_id_.insert({id}, slot);
  if (standing == Standing::stranger) ++strangers_;
  return &entry;
}

const AddressPool::Entry* AddressPool::add_own(const Id& id) {
  return assign(id, Standing::own);
}

std::size_t AddressPool::restore(std::span<const Record> records) {
  std::size_t taken = 0;
  for (const Record& record : records) {
    if (record.standing == Standing::own || find(record.id) || !room_for(record.standing)) continue;
    if (!may_hold4(record.id, record.ipv4.address(), record.standing)) continue;
    const IpAddress& ipv6 = record.ipv6.address();
    if (!in_ipv6(ipv6) || !free6(ipv6)) continue;
    add(record.id, record.standing, record.ipv4, record.ipv6);
    ++taken;
  }
  return taken;
}

std::size_t AddressPool::reserve(std::vector<Id> ids) {
  std::sort(ids.begin(), ids.end());
  std::size_t homeless = 0;
  for (const Id& id : ids)
    if (!assign(id, Standing::known)) ++homeless;
  return homeless;
}

const AddressPool::Entry* AddressPool::assign(const Id& id, Standing standing,
                                              const AnnouncedAddresses& announced) {
  if (const Slot slot = by_id_.find({id}); slot != kNoSlot) {
    Entry& entry = entries_[slot];
    if (entry.standing == Standing::stranger && standing != Standing::stranger) {
      entry.standing = standing;
      --strangers_;
    }
    return &entry;
  }
  if (!room_for(standing)) return nullptr;
  const auto ipv4 = choose4(id, standing, announced);
  const auto ipv6 = choose6(id);
  if (!ipv4 || !ipv6) return nullptr;
  return add(id, standing, *ipv4, *ipv6);
}

bool AddressPool::release(const Id& id) {
  const Slot slot = by_id_.find({id});
  if (slot == kNoSlot) return false;
  const Entry& entry = entries_[slot];
  by_ipv4_.erase({entry.ipv4.address().to_v4()});
  by_ipv6_.erase(key6(entry.ipv6.address()));
  by_id_.erase({id});
  if (entry.standing == Standing::stranger) --strangers_;
  entries_[slot] = Entry{};
  unused_.push_back(slot);
  return true;
}

AddressPool::Slot AddressPool::slot_of(const IpAddress& destination) const {
  if (destination.is_v4()) return by_ipv4_.find({destination.to_v4()});
  return in_ipv6(destination) ? by_ipv6_.find(key6(destination)) : kNoSlot;
}
AddressPool::Slot AddressPool::slot_of(const VirtualIp& address) const {
  return slot_of(address.address());
}

void AddressPool::prefetch(const IpAddress& destination) const {
  if (destination.is_v4())
    by_ipv4_.prefetch({destination.to_v4()});
  else
    by_ipv6_.prefetch(key6(destination));
}

const AddressPool::Entry* AddressPool::find(const Id& id) const {
  const Slot slot = by_id_.find({id});
  return slot == kNoSlot ? nullptr : &entries_[slot];
}
const AddressPool::Entry* AddressPool::find(const VirtualIp& address) const {
  const Slot slot = slot_of(address);
  return slot == kNoSlot ? nullptr : &entries_[slot];
}

std::vector<AddressPool::Record> AddressPool::records() const {
  std::vector<Record> result;
  for (const Entry& entry : entries_)
    if (entry.slot != kNoSlot && entry.standing != Standing::own)
      result.push_back({entry.id, entry.ipv4, entry.ipv6, entry.standing});
  return result;
}

}  // namespace i3
