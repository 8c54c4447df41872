#!/bin/bash
# What a packet costs that the kernel relays for i3-node, and what one costs that the same kernel
# forwards as a router: in turn in one run, both less what it costs to send one and drop it.
#
#           r0: drops what comes in           p   sends datagrams of 1400 bytes
#     p ===<r1: a router             >=== q   q   counts them as they come in, and drops them
#           r2: i3-node
#
# I3_BENCH_FULL=1: more packets and rounds.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 300
rounds=5 count=100000
[ -n "${I3_BENCH_FULL:-}" ] && rounds=9 count=600000
for host in p q r0 r1 r2; do new_host "$host"; done
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
drops r0 left || fail "no sink"
in_ns q nft "add table netdev t; add chain netdev t in { type filter hook ingress devices = { \"from-r1\", \"from-r2\" } priority 0; }; add rule netdev t in ip length > 1000 counter drop" || fail "no counter"
in_ns r1 sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'

keygen n p q
mkdir -p "$WORK/n"
printf '<i3-node><identity key="%s"/><listen address="10.9.2.1:5100"/><relay kernel="on"/></i3-node>\n' "$WORK/n.key" > "$WORK/n/node.xml"
spawn node r2 "$I3_BIN/i3-node" --config "$WORK/n/node.xml"
wait_for 10 "a node that relays in the kernel, or its end" eval 'ctl_node r2 ring || ! runs node'
if ! runs node; then say "skipped: this kernel relays nothing for i3-node"; exit 77; fi
node_entries() { printf '<node address="10.9.2.1:5100" key="%s"/>\n' "${KEY[n]}"; }
write_proxy p know=q shortcuts=no intercept=none
write_proxy q know=p shortcuts=no intercept=none allow='<allow from="p"/>'
start_proxy p q

# The first bytes of a labelled datagram that p sends to q: what they name is the conversation.
to=$(address4 p q.i3)
spawn capture p tcpdump -lnxi to-r2 -c 1 'udp dst port 5100 and udp[8:2] = 0xc101'
wait_for 20 "a labelled datagram" eval 'in_ns p ping -c 1 -W 1 '"$to"' && grep -q 0x0020 "$WORK/capture.log"'
label=$(awk '/^\t0x/ { for (i = 2; i <= NF; i++) all = all $i } END { print substr(all, 57, 24) }' "$WORK/capture.log")
case $label in c101*) ;; *) fail "no label in $(cat "$WORK/capture.log")" ;; esac
counter() { ctl_node r2 metrics | jq -r .text | sed -n "s/.*event=\"$1\"} //p"; }
arrived() { in_ns q nft list table netdev t | sed -n 's/.*bytes \([0-9]*\) .*/\1/p' | awk '{ print int($1 / 1400) }'; }
source_to() { in_ns p "$I3_BIN/packet_source" "$@"; }
in_the_kernel() { source_to 10.9.2.1:5100 1400 64 "$label" && [ "$(counter kernel_relayed_packets)" -gt 100 ]; }
wait_for 10 "a lease for the label" in_the_kernel

# round SEGMENTS: one measurement of each kind, in ns a packet.
round() {
  local before sent each
  read -r each sent < <(source_to 10.9.0.1:9 1400 "$count" "" "$1")
  sink+=("$each")
  before=$(arrived)
  read -r each sent < <(source_to 10.8.1.2:9 1400 "$count" "" "$1")
  [ "$(($(arrived) - before))" -ge "$((sent * 99 / 100))" ] || fail "the router lost packets"
  router+=("$each")
  before=$(arrived)
  source_to 10.9.2.1:5100 1400 64 "$label" > /dev/null
  read -r each sent < <(source_to 10.9.2.1:5100 1400 "$count" "$label" "$1")
  [ "$(($(arrived) - before))" -ge "$((sent * 99 / 100))" ] || fail "the relay lost packets"
  relay+=("$each")
}
for segments in 1 40; do
  sink=() router=() relay=()
  before=$(counter relayed_packets)
  for _ in $(seq "$rounds"); do round "$segments"; done
  within "of them user space relayed few" 0 "$((count / 100))" "$(($(counter relayed_packets) - before))"
  suffix=""
  [ "$segments" = 1 ] || suffix=_super
  bare=$(median "${sink[@]}")
  figure "relay.sink_packet_ns$suffix" ns null lower '{}' "${sink[@]}"
  figure "relay.ip_forward_packet_ns$suffix" ns null lower '{}' "${router[@]}"
  figure "relay.kernel_packet_ns$suffix" ns null lower '{}' "${relay[@]}"
  goal=1.0
  [ "$segments" = 1 ] || goal=null
  ratios=()
  for i in "${!relay[@]}"; do ratios+=("$(awk "BEGIN { print (${relay[i]} - $bare) / (${router[i]} - $bare) }")"); done
  figure "relay.kernel_vs_ip_forward_cpu$suffix" ratio "$goal" lower "{\"ip forwarding\": $(median "${router[@]}"), \"bare sink\": $bare}" "${ratios[@]}"
done
