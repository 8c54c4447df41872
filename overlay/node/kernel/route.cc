#include <linux/rtnetlink.h>
#include <memory>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "overlay/node/kernel/kernel_relay.hh"

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

}  // namespace

Way way_towards(const IpAddress& source, const IpAddress& target) {
  const std::unique_ptr<nl_sock, Free> socket(nl_socket_alloc());
  const std::unique_ptr<nl_msg, Free> message(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST));
  if (!socket || !message || nl_connect(socket.get(), NETLINK_ROUTE) != 0) return {};
  const bool v4 = target.is_v4();
  rtmsg route{};
  route.rtm_family = v4 ? AF_INET : AF_INET6;
  route.rtm_dst_len = route.rtm_src_len = v4 ? 32 : 128;
  Way found{0, target};
  nl_socket_disable_auto_ack(socket.get());
  nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, take_way, &found);
  if (nlmsg_append(message.get(), &route, sizeof route, NLMSG_ALIGNTO) != 0 ||
      nla_put(message.get(), RTA_DST, v4 ? 4 : 16, target.bytes.data() + (v4 ? 12 : 0)) != 0 ||
      nla_put(message.get(), RTA_SRC, v4 ? 4 : 16, source.bytes.data() + (v4 ? 12 : 0)) != 0 ||
      nl_send_auto(socket.get(), message.get()) < 0 || nl_recvmsgs_default(socket.get()) < 0)
    return {};
  return found;
}

}  // namespace i3
