#include "proxy/platform/inherited.hh"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "proxy/platform/broker_messages.hh"
#include "proxy/platform/platform_error.hh"

// The message, with all descriptors in the order of Inherited's members:
// | 0xa0 | incarnation 4 | seed 32 | flags 1 | mtu 2 | index 4 | name length 1, name | queues 1
// | udp sockets: count 1, each address 16 port 2 | tcp sockets: the same
// | stubs: count 1, each address 16, udp port 2, tcp port 2 | loopback: the same
// | routes: count 2, each address 16 length 1 |

namespace i3 {
namespace {

constexpr std::uint8_t kKind = 0xa0;
constexpr std::size_t kMaximumDescriptors = 128;
constexpr std::size_t kMaximumSize = 65536;
constexpr int kPatienceMilliseconds = 10000;
enum Flag : std::uint8_t {
  kVirtioHeader = 1,
  kIpv6 = 2,
  kControl = 4,
  kState = 8,
  kInspectIn = 16,
  kInspectOut = 32,
  kPlugins = 64,
};

void write_sockets(Writer& writer, const std::vector<BoundSocket>& sockets) {
  writer.u8(static_cast<std::uint8_t>(sockets.size()));
  for (const BoundSocket& socket : sockets) {
    writer.bytes(socket.local.address.bytes);
    writer.u16(socket.local.port);
  }
}

void write_pairs(Writer& writer, const std::vector<DnsPair>& pairs) {
  writer.u8(static_cast<std::uint8_t>(pairs.size()));
  for (const DnsPair& pair : pairs) {
    writer.bytes(pair.address.bytes);
    writer.u16(pair.udp.local.port);
    writer.u16(pair.tcp.local.port);
  }
}

std::vector<std::uint8_t> write(const Inherited& held) {
  std::vector<std::uint8_t> buffer(kMaximumSize);
  Writer writer(buffer);
  writer.u8(kKind);
  writer.u32(held.incarnation);
  writer.bytes(held.seed);
  writer.u8(static_cast<std::uint8_t>(
      (held.virtio_header ? kVirtioHeader : 0) | (held.ipv6 ? kIpv6 : 0) |
      (held.control ? kControl : 0) | (held.state ? kState : 0) |
      (held.inspect_in ? kInspectIn : 0) | (held.inspect_out ? kInspectOut : 0) |
      (held.plugins ? kPlugins : 0)));
  writer.u16(held.mtu);
  writer.u32(held.tun_index);
  writer.u8(static_cast<std::uint8_t>(held.tun_name.size()));
  writer.bytes(as_bytes(held.tun_name));
  writer.u8(static_cast<std::uint8_t>(held.tun.size()));
  write_sockets(writer, held.udp);
  write_sockets(writer, held.tcp);
  write_pairs(writer, held.stubs);
  write_pairs(writer, held.loopback);
  write_pairs(writer, held.zone);
  write_sockets(writer, held.waypoints);
  writer.u16(static_cast<std::uint16_t>(held.routes.size()));
  for (const IpPrefix& route : held.routes) {
    writer.bytes(route.address.bytes);
    writer.u8(static_cast<std::uint8_t>(route.length));
  }
  if (!writer.ok()) return {};
  buffer.resize(writer.size());
  return buffer;
}

std::vector<int> descriptors_of(const Inherited& held) {
  std::vector<int> fds;
  for (const UniqueFd& fd : held.tun) fds.push_back(fd.get());
  for (const BoundSocket& socket : held.udp) fds.push_back(socket.fd.get());
  for (const BoundSocket& socket : held.tcp) fds.push_back(socket.fd.get());
  for (const auto* pairs : {&held.stubs, &held.loopback, &held.zone})
    for (const DnsPair& pair : *pairs) {
      fds.push_back(pair.udp.fd.get());
      fds.push_back(pair.tcp.fd.get());
    }
  for (const BoundSocket& socket : held.waypoints) fds.push_back(socket.fd.get());
  if (held.control) fds.push_back(held.control.get());
  for (const UniqueFd* fd : {&held.state, &held.inspect_in, &held.inspect_out, &held.plugins})
    if (*fd) fds.push_back(fd->get());
  return fds;
}

// Hands the received descriptors out in their order.
class Descriptors {
 public:
  explicit Descriptors(std::vector<UniqueFd> fds) : fds_(std::move(fds)) {}
  UniqueFd next() {
    return used_ < fds_.size() ? std::move(fds_[used_++]) : (ok_ = false, UniqueFd());
  }
  bool complete() const { return ok_ && used_ == fds_.size(); }

 private:
  std::vector<UniqueFd> fds_;
  std::size_t used_ = 0;
  bool ok_ = true;
};

std::vector<BoundSocket> read_sockets(Reader& reader, Descriptors& fds) {
  std::vector<BoundSocket> sockets;
  for (std::size_t left = reader.u8(); left > 0 && reader.ok(); --left) {
    IpAddress address{reader.array<16>()};
    std::uint16_t port = reader.u16();
    sockets.push_back({{address, port}, fds.next()});
  }
  return sockets;
}

std::vector<DnsPair> read_pairs(Reader& reader, Descriptors& fds) {
  std::vector<DnsPair> pairs;
  for (std::size_t left = reader.u8(); left > 0 && reader.ok(); --left) {
    IpAddress address{reader.array<16>()};
    std::uint16_t udp = reader.u16();
    std::uint16_t tcp = reader.u16();
    BoundSocket datagrams{{address, udp}, fds.next()};
    pairs.push_back({address, std::move(datagrams), {{address, tcp}, fds.next()}});
  }
  return pairs;
}

bool read(Bytes message, Descriptors fds, Inherited& held) {
  Reader reader(message);
  if (reader.u8() != kKind) return false;
  held.incarnation = reader.u32();
  held.seed = reader.array<32>();
  std::uint8_t flags = reader.u8();
  held.virtio_header = (flags & kVirtioHeader) != 0;
  held.ipv6 = (flags & kIpv6) != 0;
  held.mtu = reader.u16();
  held.tun_index = reader.u32();
  held.tun_name = as_text(reader.bytes(reader.u8()));
  for (std::size_t left = reader.u8(); left > 0; --left) held.tun.push_back(fds.next());
  held.udp = read_sockets(reader, fds);
  held.tcp = read_sockets(reader, fds);
  held.stubs = read_pairs(reader, fds);
  held.loopback = read_pairs(reader, fds);
  held.zone = read_pairs(reader, fds);
  held.waypoints = read_sockets(reader, fds);
  if (flags & kControl) held.control = fds.next();
  if (flags & kState) held.state = fds.next();
  if (flags & kInspectIn) held.inspect_in = fds.next();
  if (flags & kInspectOut) held.inspect_out = fds.next();
  if (flags & kPlugins) held.plugins = fds.next();
  for (std::size_t left = reader.u16(); left > 0 && reader.ok(); --left) {
    IpAddress address{reader.array<16>()};
    held.routes.push_back({address, reader.u8()});
  }
  return reader.complete() && fds.complete();
}

}  // namespace

bool send_inherited(int fd, const Inherited& held) {
  std::vector<std::uint8_t> bytes = write(held);
  std::vector<int> fds = descriptors_of(held);
  if (bytes.empty() || fds.size() > kMaximumDescriptors) return false;

  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaximumDescriptors)] = {};
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  explicit_bzero(bytes.data(), bytes.size());
  return sent == static_cast<ssize_t>(bytes.size());
}

Inherited receive_inherited(int fd) {
  // Both were set before exec; a worker started by hand for a test has them too now.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

  const std::string what = "no parent speaks on descriptor " + std::to_string(fd);
  pollfd wait{fd, POLLIN, 0};
  if (::poll(&wait, 1, kPatienceMilliseconds) != 1) throw PlatformError(what);
  std::vector<std::uint8_t> bytes(kMaximumSize);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaximumDescriptors)];
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size <= 0) throw PlatformError(what);
  std::vector<UniqueFd> fds = received_descriptors(message);
  bool cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;

  Inherited held;
  bool good = !cut && read(Bytes(bytes).first(static_cast<std::size_t>(size)),
                           Descriptors(std::move(fds)), held);
  explicit_bzero(bytes.data(), bytes.size());
  if (!good) throw PlatformError("the parent's first message is not understood");
  return held;
}

}  // namespace i3
