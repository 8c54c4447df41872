#include "proxy/platform/broker_messages.hh"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace i3 {
namespace {

constexpr std::size_t kReplyHead = 6;

// One label characters of a domain as the resolver's settings take it; what stands for the root,
// or holds a blank or a line break, never gets near a configuration.
bool plain_domain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (char c : text) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '-' || c == '_' || c == '.';
    if (!good) return false;
  }
  return text.front() != '.' && text.find("..") == std::string_view::npos;
}

IpAddress read_address(Reader& reader) {
  return IpAddress::v6(reader.array<16>());
}

void read_nameservers(Reader& reader, BrokerRequest& request) {
  std::size_t count = reader.u8();
  if (count > kMaximumBrokerNameservers) reader.fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i)
    request.nameservers.push_back(read_address(reader));
}

void read_placement(Reader& reader, BrokerRequest& request) {
  std::uint8_t mode = reader.u8();
  std::uint8_t every = reader.u8();
  if (mode > static_cast<std::uint8_t>(PlacementMode::none) || every > 1) reader.fail();
  request.mode = static_cast<PlacementMode>(mode);
  request.sees_every_query = every == 1;
  read_nameservers(reader, request);
  std::size_t count = reader.u16();
  if (count > kMaximumDomains) reader.fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    std::string domain(as_text(reader.bytes(reader.u8())));
    if (!plain_domain(domain)) reader.fail();
    request.domains.push_back(std::move(domain));
  }
}

void read_path(Reader& reader, BrokerRequest& request) {
  request.path = as_text(reader.bytes(reader.u16()));
  bool good = !request.path.empty() && request.path.size() <= kMaximumPath &&
              request.path.find('\0') == std::string::npos;
  if (!good) reader.fail();
}

void read_prefix(Reader& reader, BrokerRequest& request) {
  request.prefix.address = read_address(reader);
  request.prefix.length = reader.u8();
  if (request.prefix.length > (request.prefix.is_v4() ? 32 : 128)) reader.fail();
}

void read_socket(Reader& reader, BrokerRequest& request) {
  std::uint8_t v6 = reader.u8();
  std::uint8_t stream = reader.u8();
  if (v6 > 1 || stream > 1) reader.fail();
  request.v6 = v6 == 1;
  request.stream = stream == 1;
}

void write_nameservers(Writer& writer, const std::vector<IpAddress>& nameservers) {
  writer.u8(static_cast<std::uint8_t>(nameservers.size()));
  for (const IpAddress& address : nameservers) writer.bytes(address.bytes);
}

void write_body(Writer& writer, const BrokerRequest& request) {
  switch (request.kind) {
    case RequestKind::read_file:
    case RequestKind::replace_file:
      writer.u16(static_cast<std::uint16_t>(request.path.size()));
      writer.bytes(as_bytes(request.path));
      break;
    case RequestKind::add_route:
    case RequestKind::remove_route:
      writer.bytes(request.prefix.address.bytes);
      writer.u8(static_cast<std::uint8_t>(request.prefix.length));
      break;
    case RequestKind::set_mtu:
      writer.u16(request.mtu);
      break;
    case RequestKind::upstream_socket:
      writer.u8(request.v6);
      writer.u8(request.stream);
      break;
    case RequestKind::place_dns:
      writer.u8(static_cast<std::uint8_t>(request.mode));
      writer.u8(request.sees_every_query);
      write_nameservers(writer, request.nameservers);
      writer.u16(static_cast<std::uint16_t>(request.domains.size()));
      for (const std::string& domain : request.domains) {
        writer.u8(static_cast<std::uint8_t>(domain.size()));
        writer.bytes(as_bytes(domain));
      }
      break;
    case RequestKind::update_nameservers:
      write_nameservers(writer, request.nameservers);
      break;
    case RequestKind::nat_opens:
      request.opens.write(writer);
      break;
    case RequestKind::nat_names:
      write_nat_names(writer, request.nat_names);
      break;
    case RequestKind::waypoint_names:
      write_waypoint_names(writer, request.waypoint_names);
      break;
    default:
      break;
  }
}

bool fits(const BrokerRequest& request) {
  if (request.path.size() > kMaximumPath || request.domains.size() > kMaximumDomains ||
      request.nameservers.size() > kMaximumBrokerNameservers)
    return false;
  for (const std::string& domain : request.domains)
    if (!plain_domain(domain)) return false;
  return true;
}

}  // namespace

std::optional<BrokerRequest> BrokerRequest::parse(Bytes message) {
  Reader reader(message);
  BrokerRequest request;
  request.kind = static_cast<RequestKind>(reader.u8());
  request.id = reader.u32();
  switch (request.kind) {
    case RequestKind::read_file:
    case RequestKind::replace_file:
      read_path(reader, request);
      break;
    case RequestKind::add_route:
    case RequestKind::remove_route:
      read_prefix(reader, request);
      break;
    case RequestKind::set_mtu:
      request.mtu = reader.u16();
      break;
    case RequestKind::upstream_socket:
      read_socket(reader, request);
      break;
    case RequestKind::place_dns:
      read_placement(reader, request);
      break;
    case RequestKind::update_nameservers:
      read_nameservers(reader, request);
      break;
    case RequestKind::nat_opens:
      request.opens = NatOpens::read(reader);
      break;
    case RequestKind::nat_names:
      request.nat_names = read_nat_names(reader);
      break;
    case RequestKind::waypoint_names:
      request.waypoint_names = read_waypoint_names(reader);
      break;
    case RequestKind::nat_retain:
    case RequestKind::refresh_files:
    case RequestKind::open_state:
    case RequestKind::withdraw_dns:
    case RequestKind::ready:
    case RequestKind::alive:
      break;
    default:
      return std::nullopt;
  }
  if (!reader.complete()) return std::nullopt;
  return request;
}

std::vector<std::uint8_t> BrokerRequest::write() const {
  if (!fits(*this)) return {};
  std::vector<std::uint8_t> buffer(kMaximumBrokerMessage);
  Writer writer(buffer);
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.u32(id);
  write_body(writer, *this);
  if (!writer.ok()) return {};
  buffer.resize(writer.size());
  return buffer;
}

std::optional<BrokerNotice> BrokerNotice::parse(Bytes message) {
  Reader reader(message);
  BrokerNotice notice;
  notice.kind = static_cast<NoticeKind>(reader.u8());
  switch (notice.kind) {
    case NoticeKind::reply:
      notice.id = reader.u32();
      notice.status = reader.u8();
      notice.text = as_text(reader.rest());
      break;
    case NoticeKind::reload:
    case NoticeKind::shutdown:
    case NoticeKind::are_you_alive:
      break;
    default:
      return std::nullopt;
  }
  if (!reader.complete()) return std::nullopt;
  return notice;
}

std::vector<std::uint8_t> BrokerNotice::write() const {
  std::string_view said = std::string_view(text).substr(0, kMaximumReplyText);
  std::vector<std::uint8_t> buffer(kReplyHead + said.size());
  Writer writer(buffer);
  writer.u8(static_cast<std::uint8_t>(kind));
  if (kind == NoticeKind::reply) {
    writer.u32(id);
    writer.u8(status);
    writer.bytes(as_bytes(said));
  }
  buffer.resize(writer.size());
  return buffer;
}

// Every one of them, for one that is not taken stays open for good. The control buffer may have
// room for more than was asked for: it is padded.
std::vector<UniqueFd> received_descriptors(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

Packet receive_packet(int socket) {
  Packet packet;
  packet.bytes.resize(kMaximumBrokerMessage);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{packet.bytes.data(), packet.bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) {
    bool nothing = errno == EAGAIN || errno == EINTR;
    packet.state = nothing ? Packet::State::none : Packet::State::closed;
    return packet;
  }
  std::vector<UniqueFd> fds = received_descriptors(message);
  // More descriptors or bytes than any message has: not from our own code.
  bool cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || fds.size() > 1;
  if (fds.size() == 1) packet.fd = std::move(fds.front());
  packet.bytes.resize(static_cast<std::size_t>(size));
  packet.state = size == 0 ? Packet::State::closed
                 : cut     ? Packet::State::broken
                           : Packet::State::message;
  return packet;
}

bool send_packet(int socket, Bytes bytes, int fd) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  for (;;) {
    ssize_t sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent) == bytes.size();
    if (errno != EINTR) return false;
  }
}

}  // namespace i3
