// Owns the program for TC ingress, before the network stack sees a packet but after the kernel has
// joined packets to super-packets. Those stay whole: the kernel cuts or carries them as its devices
// can.
#pragma once
#include "overlay/node/kernel/rules.h"

#define MOST_SEGMENTS 64
#define PACKET_FOR_US 0  // PACKET_HOST
#define AF_INET 2
#define AF_INET6 10

// Each datagram of a super-packet must bear the first one's label: a sender may have put datagrams
// for several triggers into one.
static __always_inline int one_label(struct __sk_buff* skb, __u32 payload, __u32 each,
                                     const struct labelled* first) {
  struct labelled other;
  __u32 at = payload;
  for (int i = 1; i < MOST_SEGMENTS; ++i) {
    at += each;
    if (at >= skb->len) return 1;
    if (bpf_skb_load_bytes(skb, at, &other, sizeof other) < 0) return 0;
    if (other.version != first->version || other.type != first->type || other.flags != 0 ||
        other.label.slot != first->label.slot || other.label.secret != first->label.secret)
      return 0;
  }
  return at + each >= skb->len;
}

// Copies the lease for the packet whose UDP payload starts at `payload`, if it may go on here.
static __always_inline int lease_of(struct __sk_buff* skb, __u32 payload, const __u8* local,
                                    __u16 local_port, struct i3_lease* lease) {
  struct labelled head;
  if (bpf_skb_load_bytes(skb, payload, &head, sizeof head) < 0 || !is_labelled(&head)) return 0;
  const __u64 now = bpf_ktime_get_coarse_ns();  // of the last tick: a lease is a second
  __u32 mtu = 0;
  struct i3_lease* found = find_lease(&head.label, local, local_port, now, lease);
  if (!found) goto up;
  if (skb->gso_size &&
      (skb->gso_size > MOST_BYTES || !one_label(skb, payload, skb->gso_size, &head)))
    goto up;
  // What does not fit the next link is cut, or answered, by the stack.
  if (bpf_check_mtu(skb, lease->out, &mtu, 0, BPF_MTU_CHK_SEGS) != 0) goto up;
  found->used = now;
  return 1;
up:
  count(I3_PASSED_UP, 1);
  return 0;
}

// A super-packet's lengths are the kernel's own.
static __always_inline int sound_at_tc(const struct __sk_buff* skb, __u32 udp_at, __u32 by_ip,
                                       const struct udphdr* udp) {
  return skb->gso_size || sound(udp, by_ip, skb->len - udp_at);
}

// With the next hop the kernel need not look for a route.
static __always_inline int go(struct __sk_buff* skb, const struct i3_lease* lease, __u32 payload,
                              __u32 family) {
  count(I3_FORWARDED, skb->gso_segs > 1 ? skb->gso_segs : 1);
  count(I3_FORWARDED_BYTES, skb->len - payload);
  struct bpf_redir_neigh hop = {.nh_family = family};
  const __u64* known = (const __u64*)lease->next_hop;
  if (known[0] == 0 && known[1] == 0) return bpf_redirect_neigh(lease->out, 0, 0, 0);
  if (family == AF_INET)
    __builtin_memcpy(&hop.ipv4_nh, lease->next_hop + 12, 4);
  else
    __builtin_memcpy(hop.ipv6_nh, lease->next_hop, 16);
  return bpf_redirect_neigh(lease->out, &hop, sizeof hop, 0);
}

// The kernel's own helpers know which checksums a device is still to compute.
static __always_inline int change_ports(struct __sk_buff* skb, __u32 udp, const struct udphdr* was,
                                        const struct i3_lease* lease) {
  const __u32 check = udp + __builtin_offsetof(struct udphdr, check);
  if (bpf_l4_csum_replace(skb, check, was->source, lease->local_port, BPF_F_MARK_MANGLED_0 | 2) <
          0 ||
      bpf_l4_csum_replace(skb, check, was->dest, lease->target_port, BPF_F_MARK_MANGLED_0 | 2) < 0)
    return -1;
  const __u16 ports[2] = {lease->local_port, lease->target_port};
  return bpf_skb_store_bytes(skb, udp, ports, sizeof ports, 0);
}

static __always_inline int tc_relay4(struct __sk_buff* skb) {
  struct iphdr ip, now;
  struct udphdr udp;
  const __u32 at = ETH_HLEN, udp_at = ETH_HLEN + sizeof ip, payload = udp_at + sizeof udp;
  if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip) < 0) return TC_ACT_UNSPEC;
  if (!may_go4(&ip) || bpf_skb_load_bytes(skb, udp_at, &udp, sizeof udp) < 0 ||
      !sound_at_tc(skb, udp_at, bpf_ntohs(ip.tot_len) - (__u32)sizeof ip, &udp))
    return TC_ACT_UNSPEC;
  __u8 local[16] = {0};
  local4(&ip, local);
  struct i3_lease lease;
  if (!lease_of(skb, payload, local, udp.dest, &lease)) return TC_ACT_UNSPEC;
  // From here on a failure leaves a packet half changed: it is dropped, as a network may.
  if (bpf_l4_csum_replace(skb, udp_at + __builtin_offsetof(struct udphdr, check), ip.saddr,
                          target4(&lease), BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4) < 0 ||
      change_ports(skb, udp_at, &udp, &lease) < 0)
    return TC_ACT_SHOT;
  turn4(&ip, &lease, &now);
  if (bpf_skb_store_bytes(skb, at, &now, sizeof now, 0) < 0) return TC_ACT_SHOT;
  return go(skb, &lease, payload, AF_INET);
}

static __always_inline int tc_relay6(struct __sk_buff* skb) {
  struct ipv6hdr ip, now;
  struct udphdr udp;
  const __u32 at = ETH_HLEN, udp_at = ETH_HLEN + sizeof ip, payload = udp_at + sizeof udp;
  if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip) < 0 ||
      bpf_skb_load_bytes(skb, udp_at, &udp, sizeof udp) < 0 || !may_go6(&ip, &udp) ||
      !sound_at_tc(skb, udp_at, bpf_ntohs(ip.payload_len), &udp))
    return TC_ACT_UNSPEC;
  struct i3_lease lease;
  if (!lease_of(skb, payload, (const __u8*)&ip.daddr, udp.dest, &lease)) return TC_ACT_UNSPEC;
  const __u32 check = udp_at + __builtin_offsetof(struct udphdr, check);
  __wsum changed = bpf_csum_diff((__be32*)&ip.saddr, 16, (__be32*)lease.target, 16, 0);
  if (bpf_l4_csum_replace(skb, check, 0, changed, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0) < 0 ||
      change_ports(skb, udp_at, &udp, &lease) < 0)
    return TC_ACT_SHOT;
  turn6(&ip, &lease, &now);
  if (bpf_skb_store_bytes(skb, at, &now, sizeof now, 0) < 0) return TC_ACT_SHOT;
  return go(skb, &lease, payload, AF_INET6);
}

SEC("tc")
int i3_relay(struct __sk_buff* skb) {
  // A VLAN's packets are its own interface's; others' packets are nobody's here.
  if (skb->vlan_present || skb->pkt_type != PACKET_FOR_US) return TC_ACT_UNSPEC;
  if (skb->protocol == bpf_htons(ETH_P_IP)) return tc_relay4(skb);
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) return tc_relay6(skb);
  return TC_ACT_UNSPEC;
}
