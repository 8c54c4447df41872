// Forwards labelled packets inside the kernel: two programs, one table of leases, one set of
// counters. Whatever they do not know for certain goes up to i3-node, which does the same in user
// space; so nothing depends on them.
//
// Read only by the compiler for the kernel's machine (clang -target bpf); docs/RELAY.md has the
// whole.
#include "overlay/node/kernel/at_tc.h"
#include "overlay/node/kernel/at_xdp.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
