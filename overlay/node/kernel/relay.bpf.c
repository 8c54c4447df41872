// Forwards labelled packets at TC ingress, before the network stack sees them. Whatever it does not
// know for certain goes up to i3-node, which does the same in user space; so nothing depends on
// this program. Super-packets stay whole: the kernel cuts or carries them as its devices can.
//
// Read only by the compiler for the kernel's machine (clang -target bpf); docs/RELAY.md has the
// whole.
// The kernel's types come before what uses them.
// clang-format off
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "overlay/node/kernel/lease.h"
// clang-format on

// Beginning of a labelled packet (overlay/wire/header.hh): version, type, kind, flags, label.
#define I3_VERSION 0xc1
#define I3_LABELLED 0x01
struct labelled {
  __u8 version, type, kind, flags;
  struct i3_label label;
};
#define MOST_SEGMENTS 64
#define MOST_BYTES 2048
#define PACKET_FOR_US 0  // PACKET_HOST
#define AF_INET 2
#define AF_INET6 10

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, I3_MOST_LEASES);
  __type(key, struct i3_label);
  __type(value, struct i3_lease);
} leases SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, I3_COUNTS);
  __type(key, __u32);
  __type(value, __u64);
} counts SEC(".maps");

static __always_inline void count(__u32 which, __u64 more) {
  __u64* value = bpf_map_lookup_elem(&counts, &which);
  if (value) *value += more;
}

static __always_inline int same_address(const void* a, const void* b) {
  const __u64 *x = a, *y = b;
  return x[0] == y[0] && x[1] == y[1];
}

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
  if (bpf_skb_load_bytes(skb, payload, &head, sizeof head) < 0) return 0;
  if (head.version != I3_VERSION || head.type != I3_LABELLED || head.flags != 0) return 0;
  struct i3_lease* found = bpf_map_lookup_elem(&leases, &head.label);
  const __u64 now = bpf_ktime_get_coarse_ns();  // of the last tick: a lease is a second
  __u32 mtu = 0;
  if (!found) goto up;
  *lease = *found;
  if (lease->label.slot != head.label.slot || lease->label.secret != head.label.secret ||
      lease->expires <= now || lease->local_port != local_port ||
      !same_address(lease->local, local))
    goto up;
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

// A lone datagram whose headers agree on its length; a super-packet's are the kernel's own.
static __always_inline int sound(const struct __sk_buff* skb, __u32 udp_and_payload,
                                 const struct udphdr* udp) {
  const __u32 length = bpf_ntohs(udp->len);
  return skb->gso_size || (length == udp_and_payload && length >= sizeof *udp + 12 &&
                           length <= sizeof *udp + MOST_BYTES);
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

// RFC 1624, equation 3, for what relay4() changes: one address for another, and the TTL.
static __always_inline __u16 header_check(const struct iphdr* was, __u32 target, __u8 ttl) {
  __u32 sum = (__u16)~was->check;
  sum += (__u16)~was->saddr + (__u16) ~(was->saddr >> 16);
  sum += (__u16)target + (__u16)(target >> 16);
  sum += (__u16)~bpf_htons(was->ttl << 8) + bpf_htons(ttl << 8);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

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

static __always_inline int relay4(struct __sk_buff* skb) {
  struct iphdr ip;
  struct udphdr udp;
  const __u32 at = ETH_HLEN, udp_at = ETH_HLEN + sizeof ip, payload = udp_at + sizeof udp;
  if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip) < 0) return TC_ACT_UNSPEC;
  if (ip.ihl != 5 || ip.protocol != IPPROTO_UDP || ip.ttl <= 1 ||
      (ip.frag_off & bpf_htons(0x3fff)) || bpf_skb_load_bytes(skb, udp_at, &udp, sizeof udp) < 0 ||
      !sound(skb, bpf_ntohs(ip.tot_len) - (__u32)sizeof ip, &udp))
    return TC_ACT_UNSPEC;
  __u8 local[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  __builtin_memcpy(local + 12, &ip.daddr, 4);
  struct i3_lease lease;
  if (!lease_of(skb, payload, local, udp.dest, &lease)) return TC_ACT_UNSPEC;
  __u32 target;
  __builtin_memcpy(&target, lease.target + 12, 4);
  // From here on a failure leaves a packet half changed: it is dropped, as a network may.
  // The old destination becomes the source: one address leaves the sum, one comes in.
  if (bpf_l4_csum_replace(skb, udp_at + __builtin_offsetof(struct udphdr, check), ip.saddr, target,
                          BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4) < 0 ||
      change_ports(skb, udp_at, &udp, &lease) < 0)
    return TC_ACT_SHOT;
  struct iphdr now = ip;
  now.saddr = ip.daddr;
  now.daddr = target;
  now.ttl = ip.ttl - 1;
  now.check = header_check(&ip, target, now.ttl);
  if (bpf_skb_store_bytes(skb, at, &now, sizeof now, 0) < 0) return TC_ACT_SHOT;
  return go(skb, &lease, payload, AF_INET);
}

static __always_inline int relay6(struct __sk_buff* skb) {
  struct ipv6hdr ip;
  struct udphdr udp;
  const __u32 at = ETH_HLEN, udp_at = ETH_HLEN + sizeof ip, payload = udp_at + sizeof udp;
  if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip) < 0) return TC_ACT_UNSPEC;
  if (ip.nexthdr != IPPROTO_UDP || ip.hop_limit <= 1 ||
      bpf_skb_load_bytes(skb, udp_at, &udp, sizeof udp) < 0 || udp.check == 0 ||
      !sound(skb, bpf_ntohs(ip.payload_len), &udp))
    return TC_ACT_UNSPEC;
  struct i3_lease lease;
  if (!lease_of(skb, payload, (const __u8*)&ip.daddr, udp.dest, &lease)) return TC_ACT_UNSPEC;
  const __u32 check = udp_at + __builtin_offsetof(struct udphdr, check);
  __wsum changed = bpf_csum_diff((__be32*)&ip.saddr, 16, (__be32*)lease.target, 16, 0);
  if (bpf_l4_csum_replace(skb, check, 0, changed, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0) < 0 ||
      change_ports(skb, udp_at, &udp, &lease) < 0)
    return TC_ACT_SHOT;
  struct ipv6hdr now = ip;
  now.hop_limit = ip.hop_limit - 1;
  now.saddr = ip.daddr;
  __builtin_memcpy(&now.daddr, lease.target, 16);
  if (bpf_skb_store_bytes(skb, at, &now, sizeof now, 0) < 0) return TC_ACT_SHOT;
  return go(skb, &lease, payload, AF_INET6);
}

SEC("tc")
int i3_relay(struct __sk_buff* skb) {
  // A VLAN's packets are its own interface's; others' packets are nobody's here.
  if (skb->vlan_present || skb->pkt_type != PACKET_FOR_US) return TC_ACT_UNSPEC;
  if (skb->protocol == bpf_htons(ETH_P_IP)) return relay4(skb);
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) return relay6(skb);
  return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
