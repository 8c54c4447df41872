#!/bin/bash
# With xdp="on" a conversation is relayed in the driver, before the kernel makes a packet of a frame;
# a trigger that is removed ends its lease; where another program sits already the node does without;
# xdp="auto" leaves virtual cables alone; and all of it goes with its process.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/netns/node/relayed.sh"
begin 200
draw_relay
keygen n2
NODE_SOCKET=/run/i3/n1.sock
# Like a cable between machines: checksums are in the frames, and the other end takes frames singly.
in_ns internet ethtool -K to-n1 tx off gro on > /dev/null || fail "no plain cable"
spawn far-end internet "$I3_BIN/kernel_relay_probe" pass to-n1
wait_for 5 "the far end of the cable" grep -q passing "$WORK/far-end.log"

# node NAME PORT RELAY: on n1, with no more than what its unit allows it.
node() {
  mkdir -p "$WORK/$1"
  printf '<i3-node><identity key="%s"/><listen address="198.51.100.11:%s"/><relay %s/><control socket="/run/i3/%s.sock"/></i3-node>\n' \
    "$WORK/$1.key" "$2" "$3" "$1" > "$WORK/$1/node.xml"
  spawn "node-$1" n1 setpriv --bounding-set=-all,+net_bind_service,+net_admin,+bpf,+chown --inh-caps=-all \
    "$I3_BIN/i3-node" --config "$WORK/$1/node.xml"
  wait_for 10 "$1, or its end" eval "in_ns n1 '$I3_BIN/i3-ctl' --socket /run/i3/$1.sock ring || ! runs node-$1"
  runs "node-$1"
}
attached() { in_ns n1 ip link show eth0 | grep -c 'prog/xdp'; }

if ! node n1 5100 'kernel="on" xdp="auto"'; then say "skipped: this kernel relays nothing for i3-node"; exit 77; fi
same "auto leaves a cable without a device behind it alone" 0 "$(attached)"
lacks "and says nothing of XDP" xdp "$(cat "$WORK/node-n1.log")"
end node-n1

node n1 5100 'kernel="on" xdp="on"' || fail "no node"
same "on sits in the driver of every Ethernet interface" 1 "$(attached)"
has "and says so" 'kernel-relay-at-xdp.*eth0' "$(cat "$WORK/node-n1.log")"
node n2 5101 'kernel="on" xdp="on"' || fail "a node ends where another program sits at XDP"
has "a second one says why it does without" 'no-xdp.*eth0: ' "$(cat "$WORK/node-n2.log")"
end node-n2

let_talk
in_the_driver() { in_ns p ping -c 5 -i 0.02 -W 2 "$address" && [ "$(counter kernel_relayed_at_xdp)" -gt 30 ]; }
wait_for 10 "pings to be relayed in the driver" in_the_driver
user=$(counter relayed_packets) all=$(counter kernel_relayed_packets) xdp=$(counter kernel_relayed_at_xdp)
carry 10000000
all=$(($(counter kernel_relayed_packets) - all)) xdp=$(($(counter kernel_relayed_at_xdp) - xdp))
within "in the driver" 7000 1e9 "$xdp"
within "and nearly nowhere else: by TC" 0 500 $((all - xdp))
within "by user space" 0 500 $(($(counter relayed_packets) - user))

end_of_q
xdp=$(counter kernel_relayed_at_xdp)
refuse "then nothing answers" in_ns p ping -c 2 -i 0.2 -W 1 "$address"
same "and nothing is relayed" "$xdp" "$(counter kernel_relayed_at_xdp)"
end node-n1 KILL
same "kill -9 takes the program away" 0 "$(attached)"
