// Owns what the relay's two programs have in common: which packet goes on, by which lease, with
// which headers. They differ in how they get at a packet only (at_tc.h, at_xdp.h).
//
// Read only by the compiler for the kernel's machine.
#pragma once
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
#define MOST_BYTES 2048

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

static __always_inline int is_labelled(const struct labelled* head) {
  return head->version == I3_VERSION && head->type == I3_LABELLED && head->flags == 0;
}

// No options, no fragment, a hop left to go.
static __always_inline int may_go4(const struct iphdr* ip) {
  return ip->ihl == 5 && ip->protocol == IPPROTO_UDP && ip->ttl > 1 &&
         !(ip->frag_off & bpf_htons(0x3fff));
}

static __always_inline int may_go6(const struct ipv6hdr* ip, const struct udphdr* udp) {
  return ip->nexthdr == IPPROTO_UDP && ip->hop_limit > 1 && udp->check != 0;
}

// A lone datagram whose headers agree on its length, and all of which is there.
static __always_inline int sound(const struct udphdr* udp, __u32 by_ip, __u32 there) {
  const __u32 length = bpf_ntohs(udp->len);
  return length == by_ip && length >= sizeof *udp + sizeof(struct labelled) &&
         length <= sizeof *udp + MOST_BYTES && length <= there;
}

// Copies the lease for a packet with this label that came to this address and port; its place in
// the table, whose `used` the packet sets if it goes on.
static __always_inline struct i3_lease* find_lease(const struct i3_label* label, const __u8* local,
                                                   __u16 local_port, __u64 now,
                                                   struct i3_lease* lease) {
  struct i3_lease* found = bpf_map_lookup_elem(&leases, label);
  if (!found) return 0;
  *lease = *found;
  if (lease->label.slot != label->slot || lease->label.secret != label->secret ||
      lease->expires <= now || lease->local_port != local_port ||
      !same_address(lease->local, local))
    return 0;
  return found;
}

static __always_inline void local4(const struct iphdr* ip, __u8* local) {
  local[10] = local[11] = 0xff;
  __builtin_memcpy(local + 12, &ip->daddr, 4);
}

static __always_inline __u32 target4(const struct i3_lease* lease) {
  __u32 target;
  __builtin_memcpy(&target, lease->target + 12, 4);
  return target;
}

// RFC 1624, equation 3: the sum of what is replaced and what replaces it, to be added to ~check.
static __always_inline __u32 replaced(const void* was, const void* now, int halves) {
  const __u16 *from = was, *to = now;
  __u32 sum = 0;
  for (int i = 0; i < halves; ++i) sum += (__u32)(__u16)~from[i] + to[i];
  return sum;
}

static __always_inline __u16 check_after(__u16 check, __u32 sum) {
  sum += (__u16)~check;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

// From where it came to, to the target; the old destination becomes the source, so that one address
// leaves the sum and one comes in.
static __always_inline void turn4(const struct iphdr* was, const struct i3_lease* lease,
                                  struct iphdr* now) {
  const __u32 target = target4(lease);
  *now = *was;
  now->saddr = was->daddr;
  now->daddr = target;
  now->ttl = was->ttl - 1;
  const __u16 life[2] = {bpf_htons(was->ttl << 8), bpf_htons(now->ttl << 8)};
  now->check =
      check_after(was->check, replaced(&was->saddr, &target, 2) + replaced(&life[0], &life[1], 1));
}

static __always_inline void turn6(const struct ipv6hdr* was, const struct i3_lease* lease,
                                  struct ipv6hdr* now) {
  *now = *was;
  now->hop_limit = was->hop_limit - 1;
  now->saddr = was->daddr;
  __builtin_memcpy(&now->daddr, lease->target, 16);
}
