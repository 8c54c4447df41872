#!/bin/bash
# The relay in the kernel sends what user space would send, byte for byte; it carries a real
# conversation; a trigger that is removed ends its lease; and it goes with its process.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/netns/node/relayed.sh"
begin 200
draw_relay

in_ns n1 ip address add 10.9.0.1/24 dev eth0
in_ns n1 ip address add fd09::1/64 dev eth0 nodad
for neighbour in 10.9.0.77 fd09::77; do
  in_ns n1 ip neighbour add "$neighbour" lladdr 02:00:00:00:00:77 dev eth0 nud permanent
done
if out=$(in_ns n1 "$I3_BIN/kernel_relay_probe"); then
  say "ok - the program's packets are those of user space: $out"
elif [ $? = 77 ]; then
  say "$out"
  exit 77
else
  fail "the program and user space differ: $out"
fi

# What XDP sends goes round the table that would ask a neighbour whether it is still there.
far=$(in_ns internet cat /sys/class/net/net/address)
neighbour() { in_ns n1 ip neighbour "$@" dev eth0; }
in_ns n1 sh -c 'echo 1 > /proc/sys/net/ipv4/neigh/eth0/delay_first_probe_time'
hop() { in_ns n1 "$I3_BIN/kernel_relay_probe" hop eth0 "$1"; }
refuse "a neighbour that nobody knows has no address" hop 198.51.100.77
neighbour replace 198.51.100.1 lladdr "$far" nud stale
has "one of long ago stays as it is by itself" STALE "$(neighbour show 198.51.100.1)"
same "its address is taken" "${far//:/}" "$(hop 198.51.100.1)"
asked() { [[ $(neighbour show 198.51.100.1) == *REACHABLE* ]]; }
wait_for 8 "the neighbour to be asked, and to answer" asked
say "ok - and it is asked whether it is still there"

start_node n1
wait_for 10 "the node" ctl_node n1 ring
let_talk
check "most of it in the kernel" test "$(counter kernel_relayed_packets)" -gt 30
user=$(counter relayed_packets)
carry 20000000
check "in the kernel" test "$(counter kernel_relayed_packets)" -gt 10000
within "while user space sent hardly any" 0 2000 $(($(counter relayed_packets) - user))

end_of_q
attached() { in_ns n1 "$I3_BIN/kernel_relay_probe" attached eth0; }
same "one program sits on the interface, none at XDP unless asked for" "1 0" "$(attached)"
end node-n1 KILL
same "kill -9 takes it away" "0 0" "$(attached)"
