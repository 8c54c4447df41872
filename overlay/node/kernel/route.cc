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

int take_interface(nl_msg* message, void* result) {
  const nlmsghdr* header = nlmsg_hdr(message);
  nlattr* attribute = nlmsg_find_attr(nlmsg_hdr(message), sizeof(rtmsg), RTA_OIF);
  if (header->nlmsg_type == RTM_NEWROUTE && attribute != nullptr)
    *static_cast<std::optional<unsigned>*>(result) = nla_get_u32(attribute);
  return NL_OK;
}

}  // namespace

std::optional<unsigned> interface_towards(const IpAddress& source, const IpAddress& target) {
  const std::unique_ptr<nl_sock, Free> socket(nl_socket_alloc());
  const std::unique_ptr<nl_msg, Free> message(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST));
  if (!socket || !message || nl_connect(socket.get(), NETLINK_ROUTE) != 0) return std::nullopt;
  const bool v4 = target.is_v4();
  rtmsg route{};
  route.rtm_family = v4 ? AF_INET : AF_INET6;
  route.rtm_dst_len = route.rtm_src_len = v4 ? 32 : 128;
  std::optional<unsigned> found;
  nl_socket_disable_auto_ack(socket.get());
  nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, take_interface, &found);
  if (nlmsg_append(message.get(), &route, sizeof route, NLMSG_ALIGNTO) != 0 ||
      nla_put(message.get(), RTA_DST, v4 ? 4 : 16, target.bytes.data() + (v4 ? 12 : 0)) != 0 ||
      nla_put(message.get(), RTA_SRC, v4 ? 4 : 16, source.bytes.data() + (v4 ? 12 : 0)) != 0 ||
      nl_send_auto(socket.get(), message.get()) < 0 || nl_recvmsgs_default(socket.get()) < 0)
    return std::nullopt;
  return found;
}

}  // namespace i3
