// What user space and the program in the kernel agree on. C, for both compile it.
#pragma once

#include <linux/types.h>

// A label as it stands in a packet: both fields in network byte order.
struct i3_label {
  __u32 slot;
  __u32 secret;
};

// The neighbour that takes a packet, and this machine's own address on that cable.
struct i3_hop {
  __u8 neighbour[6];
  __u8 own[6];
};

// For a while packets with this label go straight on. Addresses in the 16-byte form (IPv4 mapped),
// ports in network byte order.
struct i3_lease {
  struct i3_label label;  // once more: an element may be given to another label while it is read
  __u64 expires;          // CLOCK_MONOTONIC, ns
  __u64 used;             // when a packet last took it; written by the kernel
  __u8 local[16];         // where packets must have come to, and leave from
  __u8 target[16];
  __u8 next_hop[16];  // the neighbour that takes the packet; zero: the routes say which
  __u16 local_port;
  __u16 target_port;
  __u32 out;  // index of the interface that leads to the target
  struct i3_hop hop;
  __u32 hop_known;  // zero: for TC only, which resolves neighbours itself
};

// Indices of the counters, one set for each processor.
enum i3_count {
  I3_FORWARDED,  // by either program
  I3_FORWARDED_BYTES,
  I3_FORWARDED_AT_XDP,
  I3_PASSED_UP,
  I3_COUNTS
};

enum { I3_MOST_LEASES = 8192 };
