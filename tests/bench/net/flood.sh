#!/bin/bash
# What a flood of what strangers can send leaves of a TCP stream that the flooded daemon carries: a
# node that relays it, then the proxy at one of its ends.
#
#     p ====  node  === q        the stream, 50 Mbit/s, by the node
#               |
#               x                the flood: one processor's worth, from four million addresses
#
# The flood costs the machine a processor whoever it is for, and what the kernel does with a datagram
# comes out of that one; so the stream beside it is compared with the stream beside the same flood to
# a port where the kernel drops it. I3_BENCH_FULL=1: longer and more often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 900
rounds=${I3_FLOOD_ROUNDS:-3} seconds=${I3_FLOOD_SECONDS:-3}
[ -n "${I3_BENCH_FULL:-}" ] && rounds=5 seconds=8
for host in p q r x; do new_host "$host"; done
cable p left r to-p
cable r to-q q right
cable x out r to-x
addresses p left 10.9.0.2/24
addresses r to-p 10.9.0.1/24
addresses r to-q 10.8.0.1/24
addresses q right 10.8.0.2/24
addresses r to-x 10.7.0.1/24
addresses x out 10.7.0.2/24
in_ns q ip route add default via 10.8.0.1
in_ns p ip route add default via 10.9.0.1
in_ns x ip route add default via 10.7.0.1
in_ns x ip route add local 10.128.0.0/10 dev lo
in_ns r ip route add 10.128.0.0/10 via 10.7.0.2
in_ns r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
for host in r q; do in_ns $host nft 'table ip drop_here { chain in { type filter hook prerouting priority raw; udp dport 9 drop; }; }'; done
keygen n p q
mkdir -p "$WORK/n"
node_entries() { printf '<node address="10.9.0.1:5100" key="%s"/>\n' "${KEY[n]}"; }
# start_way KERNEL: what relays at the node.
start_way() {
  printf '<i3-node><identity key="%s"/><listen address="10.9.0.1:5100"/><relay kernel="%s"/></i3-node>\n' "$WORK/n.key" "$1" > "$WORK/n/node.xml"
  spawn node r "$I3_BIN/i3-node" --config "$WORK/n/node.xml"
  wait_for 10 "the node" ctl_node r ring
  write_proxy p know=q intercept=none shortcuts=no allow='<allow from="q"/>'
  write_proxy q know=p intercept=none shortcuts=no allow='<allow from="p"/>'
  start_proxy p q
  to=$(address4 p q.i3)
  wait_for 20 "the stream's way" in_ns p ping -c 1 -W 1 "$to"
}
end_way() {
  end proxy-p
  end proxy-q
  end node
}
port_of_q() { in_ns q ss -Hlunp | awk '/i3-proxy/ && !/127.0.0/ { sub(/.*:/, "", $4); print $4; exit }'; }
# rate: Mbit/s of the stream, as it arrives.
rate() {
  wait_for 20 "iperf3" in_ns p timeout 5 socat -u OPEN:/dev/null "TCP:$to:5201"
  local found
  found=$(in_ns p timeout $((seconds + 15)) iperf3 -J -c "$to" -t "$seconds" -O 1 -b 50M | jq ".end.sum_received.bits_per_second // 0 | . / 1e6")
  echo "${found:-0}"
}
# beside ADDRESS:PORT WHAT: the stream beside a flood there; FLOODED is the flood's datagrams a second.
beside() {
  rm -f "$WORK/flood.log"
  spawn flood x flood_source "$1" "$2" "$3" 10.128.0.0 $(($(nproc) - 1))
  sleep 0.5
  RATE=$(rate)
  end flood
  FLOODED=$(tail -n 1 "$WORK/flood.log")
}
PATH=$I3_BIN:$PATH
spawn iperf q iperf3 -s
declare -A kept=()
floods=()
# compare LABEL ADDRESS PORT node|host KEY
compare() {
  local with without
  beside "$2:9" "$4" "$5"
  without=$RATE
  beside "$2:$3" "$4" "$5"
  with=$RATE
  floods+=("$FLOODED")
  say "$1: $with of $without Mbit/s beside $FLOODED datagrams a second"
  kept[$1]+=" $(awk "BEGIN { print 100 * $with / $without }")"
}
for _ in $(seq $rounds); do
  start_way off
  compare node 10.9.0.1 5100 node "${KEY[n]}"
  compare proxy 10.8.0.2 "$(port_of_q)" host "${KEY[q]}"
  end_way
  start_way auto
  compare kernel 10.9.0.1 5100 node "${KEY[n]}"
  end_way
done
against="{\"flood_per_s\": $(median "${floods[@]}")}"
# shellcheck disable=SC2086
{
  figure flood.live_throughput_percent % 90 higher "$against" ${kept[node]}
  figure flood.live_throughput_percent_of_proxy % 90 higher "$against" ${kept[proxy]}
  figure flood.live_throughput_percent_kernel_relay % 90 higher "$against" ${kept[kernel]}
}
checks=$((checks + 1))
