#!/bin/bash
# What a packet costs that the kernel relays for i3-node, and what one costs that the same kernel
# forwards as a router: in turn in one run, both less what it costs to send one and drop it.
#
#           r0: drops what comes in           p   sends datagrams of 1400 bytes
#     p ===<r1: a router             >=== q   q   counts them as they come in, and drops them
#           r2: i3-node
#     r3 === x === y      r3  i3-node with xdp="on": what x sends leads to y, so back by the cable on
#                             which it came; x drops it there
#     r4 === x            r4  drops what comes in behind an XDP program that lets all pass: a virtual
#                             cable copies for XDP what a network card has where XDP may write, and
#                             that is no part of what the relay costs
#
# I3_BENCH_FULL=1: more packets and rounds.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 300
rounds=5 count=100000
[ -n "${I3_BENCH_FULL:-}" ] && rounds=9 count=600000
for host in p q r0 r1 r2 r3 r4 x y; do new_host "$host"; done
drops() { in_ns "$1" nft "add table netdev t; add chain netdev t in { type filter hook ingress device \"$2\" priority 0; }; add rule netdev t in ip length > 1000 counter drop"; }
for r in 0 1 2; do
  cable p "to-r$r" "r$r" left
  cable "r$r" right q "from-r$r"
  addresses p "to-r$r" "10.9.$r.2/24"
  addresses "r$r" left "10.9.$r.1/24"
  addresses "r$r" right "10.8.$r.1/24"
  addresses q "from-r$r" "10.8.$r.2/24"
  in_ns p ip route add "10.8.$r.0/24" via "10.9.$r.1"
  in_ns q ip route add "10.9.$r.0/24" via "10.8.$r.1"
done
cable x to-r3 r3 left
cable x to-r4 r4 left
cable x to-y y eth0
addresses x to-r3 10.9.3.2/24
addresses x to-r4 10.9.4.2/24
addresses r4 left 10.9.4.1/24
addresses x to-y 10.7.0.1/24
addresses r3 left 10.9.3.1/24
addresses y eth0 10.7.0.2/24
in_ns r3 ip route add default via 10.9.3.2
in_ns y ip route add default via 10.7.0.1
in_ns x sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; for end in to-r3 to-r4; do ethtool -K $end tx off gro on; done > /dev/null'
drops r0 left || fail "no sink"
drops r4 left || fail "no sink behind XDP"
drops x to-r3 || fail "no counter behind XDP"
in_ns q nft "add table netdev t; add chain netdev t in { type filter hook ingress devices = { \"from-r1\", \"from-r2\" } priority 0; }; add rule netdev t in ip length > 1000 counter drop" || fail "no counter"
in_ns r1 sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'

keygen n2 n3 p q x y
# node R XDP: i3-node on rR.   counter R EVENT: of that node.
node() {
  mkdir -p "$WORK/n$1"
  printf '<i3-node><identity key="%s"/><listen address="10.9.%s.1:5100"/><relay kernel="on" xdp="%s"/></i3-node>\n' \
    "$WORK/n$1.key" "$1" "$2" > "$WORK/n$1/node.xml"
  spawn "node-$1" "r$1" "$I3_BIN/i3-node" --config "$WORK/n$1/node.xml"
  wait_for 10 "a node that relays in the kernel, or its end" eval "ctl_node r$1 ring || ! runs node-$1"
  runs "node-$1"
}
counter() { ctl_node "r$1" metrics | jq -r .text | sed -n "s/.*event=\"$2\"} //p"; }
if ! node 2 off; then say "skipped: this kernel relays nothing for i3-node"; exit 77; fi
node 3 on || fail "no node for XDP"
passes() {
  spawn "pass-$1-$2" "$1" "$I3_BIN/kernel_relay_probe" pass "$2"
  wait_for 5 "an XDP program at $2 of $1" grep -q passing "$WORK/pass-$1-$2.log"
}
passes x to-r3
passes r4 left
node_entries() { printf '<node address="10.9.%s.1:5100" key="%s"/>\n' "${2#n}" "${KEY[$2]}"; }
for pair in "p q n2" "x y n3"; do
  # shellcheck disable=SC2086
  set -- $pair
  write_proxy "$1" know="$2" nodes="$3" shortcuts=no intercept=none
  write_proxy "$2" know="$1" nodes="$3" shortcuts=no intercept=none allow="<allow from=\"$1\"/>"
done
start_proxy p q x y

# label_of HOST PEER DEVICE: the first bytes, in hexadecimal, of a labelled datagram that it sends to
# the peer: what they name is the conversation.
label_of() {
  local to label
  to=$(address4 "$1" "$2.i3")
  spawn "capture-$1" "$1" tcpdump -lnxi "$3" -c 1 'udp dst port 5100 and udp[8:2] = 0xc101'
  wait_for 20 "a labelled datagram" eval "in_ns $1 ping -c 1 -W 1 $to && grep -q 0x0020 '$WORK/capture-$1.log'"
  label=$(awk '/^\t0x/ { for (i = 2; i <= NF; i++) all = all $i } END { print substr(all, 57, 24) }' "$WORK/capture-$1.log")
  case $label in c101*) printf '%s' "$label" ;; *) return 1 ;; esac
}
label=$(label_of p q to-r2) && xdp_label=$(label_of x y to-r3) || fail "no labelled datagrams"
arrived() { in_ns "$1" nft list table netdev t | sed -n 's/.*bytes \([0-9]*\) .*/\1/p' | awk '{ print int($1 / 1400) }'; }
source_to() { in_ns "$1" "$I3_BIN/packet_source" "${@:2}"; }
in_the_kernel() { source_to p 10.9.2.1:5100 1400 64 "$label" && [ "$(counter 2 kernel_relayed_packets)" -gt 100 ]; }
at_xdp() { source_to x 10.9.3.1:5100 1400 64 "$xdp_label" && [ "$(counter 3 kernel_relayed_at_xdp)" -gt 100 ]; }
wait_for 10 "a lease for the label" in_the_kernel
wait_for 10 "a lease for XDP" at_xdp

# sent_and_arrived WHAT SOURCE SINK ADDRESS:PORT LABEL SEGMENTS: sets $each, ns a packet.
sent_and_arrived() {
  local before sent
  before=$(arrived "$3")
  read -r each sent < <(source_to "$2" "$4" 1400 "$count" "$5" "$6")
  [ "$(($(arrived "$3") - before))" -ge "$((sent * 99 / 100))" ] || fail "$1 lost packets"
}
# round SEGMENTS: one measurement of each kind, in ns a packet; at XDP there are no super-packets.
round() {
  local each sent
  read -r each sent < <(source_to p 10.9.0.1:9 1400 "$count" "" "$1")
  sink+=("$each")
  sent_and_arrived "the router" p q 10.8.1.2:9 "" "$1"
  router+=("$each")
  source_to p 10.9.2.1:5100 1400 64 "$label" > /dev/null
  sent_and_arrived "the relay" p q 10.9.2.1:5100 "$label" "$1"
  relay+=("$each")
  [ "$1" = 1 ] || return 0
  sent_and_arrived "the sink behind XDP" x r4 10.9.4.1:9 "" 1
  xdp_sink+=("$each")
  source_to x 10.9.3.1:5100 1400 64 "$xdp_label" > /dev/null
  sent_and_arrived "the relay at XDP" x x 10.9.3.1:5100 "$xdp_label" 1
  xdp+=("$each")
}
# compare NAME GOAL BARE VALUE...: each less its bare sink, against the router less its own.
compare() {
  local name=$1 goal=$2 i ratios=() values=("${@:4}")
  for i in "${!values[@]}"; do ratios+=("$(awk "BEGIN { print (${values[i]} - $3) / (${router[i]} - $bare) }")"); done
  figure "$name" ratio "$goal" lower "{\"ip forwarding\": $(median "${router[@]}"), \"bare sink\": $bare}" "${ratios[@]}"
}
for segments in 1 40; do
  sink=() router=() relay=() xdp=() xdp_sink=()
  before=$(counter 2 relayed_packets) at_xdp=$(counter 3 kernel_relayed_at_xdp)
  for _ in $(seq "$rounds"); do round "$segments"; done
  within "of them user space relayed few" 0 "$((count / 100))" "$(($(counter 2 relayed_packets) - before))"
  suffix="" goal=1.0
  [ "$segments" = 1 ] || suffix=_super goal=null
  bare=$(median "${sink[@]}")
  figure "relay.sink_packet_ns$suffix" ns null lower '{}' "${sink[@]}"
  figure "relay.ip_forward_packet_ns$suffix" ns null lower '{}' "${router[@]}"
  figure "relay.kernel_packet_ns$suffix" ns null lower '{}' "${relay[@]}"
  compare "relay.kernel_vs_ip_forward_cpu$suffix" "$goal" "$bare" "${relay[@]}"
  [ "$segments" = 1 ] || continue
  within "XDP sent all of its own back" "$((count * rounds * 99 / 100))" 1e12 "$(($(counter 3 kernel_relayed_at_xdp) - at_xdp))"
  figure relay.xdp_sink_packet_ns ns null lower '{}' "${xdp_sink[@]}"
  figure relay.xdp_packet_ns ns null lower '{}' "${xdp[@]}"
  compare relay.xdp_vs_ip_forward_cpu null "$(median "${xdp_sink[@]}")" "${xdp[@]}"
done
