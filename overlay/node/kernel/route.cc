#include "overlay/node/kernel/route.hh"

#include <algorithm>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/ioctl.h>

#include "overlay/base/bytes.hh"
#include "overlay/base/control/socket.hh"

namespace i3 {
namespace {

struct Free {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};

int take_way(nl_msg* message, void* result) {
  nlmsghdr* header = nlmsg_hdr(message);
  const nlattr* out = nlmsg_find_attr(header, sizeof(rtmsg), RTA_OIF);
  if (header->nlmsg_type != RTM_NEWROUTE || out == nullptr) return NL_OK;
  auto& way = *static_cast<Way*>(result);
  way.out = nla_get_u32(out);
  // A gateway of the other family has an attribute of its own, and is left to the kernel.
  if (nlmsg_find_attr(header, sizeof(rtmsg), RTA_VIA) != nullptr) way.next_hop = {};
  const nlattr* gateway = nlmsg_find_attr(header, sizeof(rtmsg), RTA_GATEWAY);
  if (gateway == nullptr) return NL_OK;
  const auto* bytes = static_cast<const std::uint8_t*>(nla_data(gateway));
  if (nla_len(gateway) == 4)
    way.next_hop = IpAddress::v4(Reader({bytes, 4}).u32());
  else if (nla_len(gateway) == 16)
    std::copy_n(bytes, 16, way.next_hop.bytes.begin());
  return NL_OK;
}

// A request, and what is to be done with the answer.
class Question {
 public:
  Question(int type, int flags)
      : socket_(nl_socket_alloc()), message_(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags)) {
    sound_ = socket_ && message_ && nl_connect(socket_.get(), NETLINK_ROUTE) == 0;
  }

  template <class Header>
  void begin(Header header) {
    sound_ = sound_ && nlmsg_append(message_.get(), &header, sizeof header, NLMSG_ALIGNTO) == 0;
  }

  void add(int attribute, const IpAddress& address) {
    const bool v4 = address.is_v4();
    sound_ = sound_ && nla_put(message_.get(), attribute, v4 ? 4 : 16,
                               address.bytes.data() + (v4 ? 12 : 0)) == 0;
  }

  // False if it was not answered, or refused.
  bool ask(nl_recvmsg_msg_cb_t take, void* result) {
    if (!sound_) return false;
    nl_socket_disable_auto_ack(socket_.get());
    nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, take, result);
    return nl_send_auto(socket_.get(), message_.get()) >= 0 &&
           nl_recvmsgs_default(socket_.get()) >= 0;
  }

  void tell() {
    if (sound_) nl_send_auto(socket_.get(), message_.get());
  }

 private:
  std::unique_ptr<nl_sock, Free> socket_;
  std::unique_ptr<nl_msg, Free> message_;
  bool sound_ = false;
};

struct Entry {
  bool known = false, to_be_asked = false;
  Mac address{};
};

int take_neighbour(nl_msg* message, void* result) {
  nlmsghdr* header = nlmsg_hdr(message);
  const nlattr* address = nlmsg_find_attr(header, sizeof(ndmsg), NDA_LLADDR);
  if (header->nlmsg_type != RTM_NEWNEIGH || address == nullptr ||
      nla_len(address) != static_cast<int>(sizeof(Mac)))
    return NL_OK;
  const auto* neighbour = static_cast<const ndmsg*>(nlmsg_data(header));
  auto& entry = *static_cast<Entry*>(result);
  entry.known = (neighbour->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE |
                                         NUD_PERMANENT | NUD_NOARP)) != 0;
  entry.to_be_asked = neighbour->ndm_state == NUD_STALE;
  std::copy_n(static_cast<const std::uint8_t*>(nla_data(address)), sizeof(Mac),
              entry.address.begin());
  return NL_OK;
}

ndmsg neighbour_there(const Way& way) {
  ndmsg header{};
  header.ndm_family = way.next_hop.is_v4() ? AF_INET : AF_INET6;
  header.ndm_ifindex = static_cast<int>(way.out);
  return header;
}

std::optional<Mac> own_address(unsigned index) {
  const OwnedFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (!socket || if_indextoname(index, request.ifr_name) == nullptr ||
      ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0)
    return std::nullopt;
  Mac mac;
  std::copy_n(reinterpret_cast<const std::uint8_t*>(request.ifr_hwaddr.sa_data), mac.size(),
              mac.begin());
  return mac;
}

}  // namespace

Way way_towards(const IpAddress& source, const IpAddress& target) {
  Question question(RTM_GETROUTE, 0);
  rtmsg route{};
  route.rtm_family = target.is_v4() ? AF_INET : AF_INET6;
  route.rtm_dst_len = route.rtm_src_len = target.is_v4() ? 32 : 128;
  question.begin(route);
  question.add(RTA_DST, target);
  question.add(RTA_SRC, source);
  Way found{0, target};
  return question.ask(take_way, &found) ? found : Way{};
}

// 1 the neighbour  2 a word to the kernel, if it is due  3 our own address
std::optional<Hop> hop_towards(const Way& way) {
  if (way.next_hop.unspecified()) return std::nullopt;
  Question question(RTM_GETNEIGH, 0);
  question.begin(neighbour_there(way));
  question.add(NDA_DST, way.next_hop);
  Entry entry;
  if (!question.ask(take_neighbour, &entry) || !entry.known) return std::nullopt;
  if (entry.to_be_asked) {
    Question use(RTM_NEWNEIGH, 0);
    ndmsg header = neighbour_there(way);
    header.ndm_flags = NTF_USE;
    use.begin(header);
    use.add(NDA_DST, way.next_hop);
    use.tell();
  }
  const auto own = own_address(way.out);
  return own ? std::optional(Hop{entry.address, *own}) : std::nullopt;
}

}  // namespace i3
