// Owns the program for XDP, in a device's driver, before the kernel makes a packet of what came. It
// sends back out of the interface what leaves by the interface on which it came, to a neighbour
// whose address the lease knows; all else goes on, to the program at TC.
#pragma once
#include "overlay/node/kernel/rules.h"

static __always_inline int same_mac(const __u8* a, const __u8* b) {
  __u16 x[3], y[3];
  __builtin_memcpy(x, a, sizeof x);
  __builtin_memcpy(y, b, sizeof y);
  return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

static __always_inline int lease_at_xdp(struct xdp_md* ctx, const struct ethhdr* link,
                                        const struct labelled* head, const __u8* local,
                                        __u16 local_port, struct i3_lease* lease) {
  if (!is_labelled(head)) return 0;
  const struct i3_label label = head->label;
  const __u64 now = bpf_ktime_get_coarse_ns();
  __u32 mtu = 0;
  struct i3_lease* found = find_lease(&label, local, local_port, now, lease);
  if (!found || lease->out != ctx->ingress_ifindex || !lease->hop_known ||
      !same_mac(link->h_dest, lease->hop.own) || bpf_check_mtu(ctx, 0, &mtu, 0, 0) != 0)
    return 0;
  found->used = now;
  return 1;
}

// Zero says that there is none, and what would come out as zero is written as its other form. What
// comes by a cable bears it whole: no device here is left to compute it.
static __always_inline __u16 udp_check(__u16 was, __u32 changed) {
  if (was == 0) return 0;
  const __u16 now = check_after(was, changed);
  return now ? now : 0xffff;
}

static __always_inline int back(struct ethhdr* link, struct udphdr* udp, __u32 addresses,
                                const struct i3_lease* lease) {
  const __u16 was[2] = {udp->source, udp->dest};
  const __u16 now[2] = {lease->local_port, lease->target_port};
  udp->check = udp_check(udp->check, addresses + replaced(was, now, 2));
  udp->source = now[0];
  udp->dest = now[1];
  __builtin_memcpy(link->h_dest, lease->hop.neighbour, ETH_ALEN);
  __builtin_memcpy(link->h_source, lease->hop.own, ETH_ALEN);
  count(I3_FORWARDED, 1);
  count(I3_FORWARDED_BYTES, bpf_ntohs(udp->len) - sizeof *udp);
  count(I3_FORWARDED_AT_XDP, 1);
  return XDP_TX;
}

static __always_inline int xdp_relay4(struct xdp_md* ctx, struct ethhdr* link, void* end) {
  struct iphdr *ip = (void*)(link + 1), now;
  struct udphdr* udp = (void*)(ip + 1);
  struct labelled* head = (void*)(udp + 1);
  if ((void*)(head + 1) > end) return XDP_PASS;
  const __u32 there = bpf_xdp_get_buff_len(ctx) - ETH_HLEN - sizeof *ip;
  if (!may_go4(ip) || !sound(udp, bpf_ntohs(ip->tot_len) - (__u32)sizeof *ip, there))
    return XDP_PASS;
  __u8 local[16] = {0};
  local4(ip, local);
  struct i3_lease lease;
  if (!lease_at_xdp(ctx, link, head, local, udp->dest, &lease)) return XDP_PASS;
  turn4(ip, &lease, &now);
  const __u32 changed = replaced(&ip->saddr, &now.daddr, 2);
  *ip = now;
  return back(link, udp, changed, &lease);
}

static __always_inline int xdp_relay6(struct xdp_md* ctx, struct ethhdr* link, void* end) {
  struct ipv6hdr *ip = (void*)(link + 1), now;
  struct udphdr* udp = (void*)(ip + 1);
  struct labelled* head = (void*)(udp + 1);
  if ((void*)(head + 1) > end) return XDP_PASS;
  const __u32 there = bpf_xdp_get_buff_len(ctx) - ETH_HLEN - sizeof *ip;
  if (!may_go6(ip, udp) || !sound(udp, bpf_ntohs(ip->payload_len), there)) return XDP_PASS;
  __u8 local[16];
  __builtin_memcpy(local, &ip->daddr, sizeof local);
  struct i3_lease lease;
  if (!lease_at_xdp(ctx, link, head, local, udp->dest, &lease)) return XDP_PASS;
  turn6(ip, &lease, &now);
  const __u32 changed = replaced(&ip->saddr, &now.daddr, 8);
  *ip = now;
  return back(link, udp, changed, &lease);
}

SEC("xdp")
int i3_relay_xdp(struct xdp_md* ctx) {
  struct ethhdr* link = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  if ((void*)(link + 1) > end) return XDP_PASS;
  if (link->h_proto == bpf_htons(ETH_P_IP)) return xdp_relay4(ctx, link, end);
  if (link->h_proto == bpf_htons(ETH_P_IPV6)) return xdp_relay6(ctx, link, end);
  return XDP_PASS;
}
