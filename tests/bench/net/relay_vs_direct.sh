#!/bin/bash
# TCP with one stream between two hosts straight, by a node that relays in the kernel, and by one
# that relays in user space; in turn in one run. Real frames of 1500 bytes cross the cables.
#
#     p =============== q         straight
#     p ====  node  === q         kernel="on", then kernel="off"
#
# I3_BENCH_FULL=1: longer and more often.   I3_WIRE=offload: the cables carry super-packets.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 600
rounds=3 seconds=2
[ -n "${I3_BENCH_FULL:-}" ] && rounds=5 seconds=5
for host in p q r; do new_host "$host"; done
# cut HOST DEVICE: like a network card without TSO and USO; joined again after the cable.
cut() { [ "${I3_WIRE:-plain}" = offload ] || in_ns "$1" ethtool -K "$2" tso off tx-udp-segmentation off gro on; }
cable p straight q straight
cable p by-node r left
cable r right q by-node
addresses p straight 10.7.0.1/24
addresses q straight 10.7.0.2/24
addresses p by-node 10.9.0.2/24
addresses r left 10.9.0.1/24
addresses r right 10.8.0.1/24
addresses q by-node 10.8.0.2/24
in_ns q ip route add 10.9.0.0/24 via 10.8.0.1
for end in "p straight" "q straight" "p by-node" "q by-node" "r left" "r right"; do
  # shellcheck disable=SC2086
  cut $end > /dev/null || fail "no plain cable: $end"
done
keygen n p q
mkdir -p "$WORK/n"
node_entries() { printf '<node address="10.9.0.1:5100" key="%s"/>\n' "${KEY[n]}"; }
start_way() {
  local kernel=$1 shortcuts=$2
  printf '<i3-node><identity key="%s"/><listen address="10.9.0.1:5100"/><relay kernel="%s"/></i3-node>\n' "$WORK/n.key" "$kernel" > "$WORK/n/node.xml"
  spawn node r "$I3_BIN/i3-node" --config "$WORK/n/node.xml"
  wait_for 10 "the node, or its end" eval 'ctl_node r ring || ! runs node'
  if ! runs node; then say "skipped: this kernel relays nothing for i3-node"; exit 77; fi
  write_proxy p know=q intercept=none "shortcuts=$shortcuts" allow='<allow from="q"/>'
  write_proxy q know=p intercept=none "shortcuts=$shortcuts" allow='<allow from="p"/>'
  start_proxy p q
  to=$(address4 p q.i3)
  local path=node
  [ "$shortcuts" = yes ] && path=direct
  wait_for 20 "a path of the kind '$path'" path_is $path
}
path_is() { in_ns p ping -c 1 -W 1 "$to" && [ "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')" = "$1" ]; }
end_way() {
  end proxy-p
  end proxy-q
  end node
}
# stream WAY: appends Mbit/s to the array of that name.
stream() {
  local -n rates=$1
  local out
  wait_for 10 "iperf3" in_ns p timeout 2 socat -u OPEN:/dev/null "TCP:$to:5201"
  in_ns p iperf3 -c "$to" -t 1 > /dev/null 2>&1
  out=$(in_ns p iperf3 -J -c "$to" -t "$seconds")
  rates+=("$(jq '.end.sum_received.bits_per_second / 1e6' <<< "$out")")
}
relayed() { ctl_node r metrics | jq -r .text | sed -n "s/.*event=\"$1\"} //p"; }
spawn iperf q iperf3 -s
direct=() kernel=() user=()
for _ in $(seq $rounds); do
  start_way auto yes
  stream direct
  end_way
  start_way on no
  stream kernel
  within "the kernel relays most" 10000 1e18 "$(relayed kernel_relayed_packets)"
  end_way
  start_way off no
  stream user
  within "user space relays" 10000 1e18 "$(relayed relayed_packets)"
  end_way
done
figure relay.direct_tcp1_mbit Mbit/s null higher '{}' "${direct[@]}"
for way in kernel user; do
  declare -n rates=$way
  goal=0.8 ratios=()
  [ $way = user ] && goal=0.6
  figure "relay.${way}_tcp1_mbit" Mbit/s null higher '{}' "${rates[@]}"
  for i in "${!rates[@]}"; do ratios+=("$(awk "BEGIN { print ${rates[i]} / ${direct[i]} }")"); done
  figure "relay.${way}_vs_direct_tcp" ratio $goal higher "{\"direct\": $(median "${direct[@]}")}" "${ratios[@]}"
done
