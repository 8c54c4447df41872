#include "proxy/platform/nat.hh"

#include <algorithm>

namespace i3 {
namespace {

std::vector<Ports::Range> read_ranges(Reader& reader) {
  std::vector<Ports::Range> ranges;
  const std::size_t count = reader.u16();
  if (count > kMaximumNatRanges) reader.fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Ports::Range range;
    range.first = reader.u16();
    range.last = reader.u16();
    const bool apart = ranges.empty() || range.first > std::uint32_t{ranges.back().last} + 1;
    if (range.first > range.last || !apart) reader.fail();
    ranges.push_back(range);
  }
  return ranges;
}

void write_ranges(Writer& writer, const std::vector<Ports::Range>& ranges) {
  writer.u16(static_cast<std::uint16_t>(ranges.size()));
  for (const Ports::Range& range : ranges) {
    writer.u16(range.first);
    writer.u16(range.last);
  }
}

// Networks that carry an IPv4 address inside an IPv6 one, and where in it.
struct Carried {
  const char* prefix;
  unsigned length;
  std::size_t offset;
};
constexpr Carried kCarried[] = {{"64:ff9b::", 96, 12}, {"2002::", 16, 2}, {"::", 96, 12}};

bool is_in(const IpAddress& address, std::string_view network, unsigned length) {
  return IpPrefix{*IpAddress::parse(network), length}.contains(address);
}

}  // namespace

NatOpens NatOpens::read(Reader& reader) {
  NatOpens opens;
  opens.number = reader.u16();
  const std::uint8_t icmp = reader.u8();
  if (icmp > 1) reader.fail();
  opens.icmp = icmp == 1;
  opens.tcp = read_ranges(reader);
  opens.udp = read_ranges(reader);
  return opens;
}

void NatOpens::write(Writer& writer) const {
  writer.u16(number);
  writer.u8(icmp ? 1 : 0);
  write_ranges(writer, tcp);
  write_ranges(writer, udp);
}

std::vector<NatName> read_nat_names(Reader& reader) {
  std::vector<NatName> names;
  const std::size_t count = reader.u16();
  if (count > kMaximumNatNames) reader.fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    NatName name;
    name.inner = IpAddress::v6(reader.array<16>());
    const std::uint8_t has = reader.u8();
    const IpAddress real = IpAddress::v6(reader.array<16>());
    name.opens = reader.u16();
    const bool empty = real == IpAddress{} && name.opens == 0;
    if (has > 1 || (has == 0 && !empty) || (has == 1 && real.is_v4() != name.inner.is_v4()))
      reader.fail();
    if (has == 1) name.real = real;
    names.push_back(name);
  }
  return names;
}

void write_nat_names(Writer& writer, const std::vector<NatName>& names) {
  writer.u16(static_cast<std::uint16_t>(names.size()));
  for (const NatName& name : names) {
    writer.bytes(name.inner.bytes);
    writer.u8(name.real ? 1 : 0);
    writer.bytes(name.real.value_or(IpAddress{}).bytes);
    writer.u16(name.opens);
  }
}

bool may_be_reached(const IpAddress& real) {
  if (real.unspecified() || real.loopback() || real.link_local() || real.multicast()) return false;
  if (real.is_v4()) {
    const std::uint32_t address = real.to_v4();
    const std::uint32_t first = address >> 24;
    // The last: metadata of some clouds (Alibaba) inside shared space.
    return first != 0 && first != 127 && first < 224 && address >> 16 != 0xa9fe &&
           address != 0x646464c8;
  }
  for (const Carried& carried : kCarried)
    if (is_in(real, carried.prefix, carried.length)) {
      const auto at = Bytes(real.bytes).subspan(carried.offset, 4);
      return may_be_reached(IpAddress::v4(Reader(at).u32()));
    }
  return !is_in(real, "fd00:ec2::", 32) && !is_in(real, "fec0::", 10);
}

}  // namespace i3
