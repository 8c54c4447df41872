#!/bin/bash
# Round trips while nothing else goes on, and beside one TCP stream as fast as it goes, in either
# direction: over the bare cable, through two proxies and one node, and straight; median and 99th
# percentile. I3_BENCH_FULL=1: longer and more often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 900
runs=1 count=400
[ -n "${I3_BENCH_FULL:-}" ] && runs=5 count=1500
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
keygen n1 p q
start_node n1
wait_for 10 "the node" ctl_node n1 ring
spawn iperf q iperf3 -s

# percentile SHARE: of the numbers on standard input.
percentile() { sort -g | awk -v share="$1" '{ v[NR] = $1 } END { i = int(NR * share) + 1; if (i > NR) i = NR; print v[i] }'; }
# pings NAME ADDRESS: appends to the arrays half and most, in microseconds.
pings() {
  local times
  times=$(in_ns p ping -c "$count" -i 0.002 -W 1 "$1" | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | awk '{ print $1 * 1000 }')
  [ "$(wc -l <<< "$times")" -ge $((count * 9 / 10)) ] || fail "of $count pings to $1 too few came back"
  half+=("$(percentile 0.5 <<< "$times")")
  most+=("$(percentile 0.99 <<< "$times")")
  [ -n "${half[-1]}" ] && [ -n "${most[-1]}" ] || fail "no percentile of $count pings to $1"
}
report() {
  figure "latency.$1_us" us null lower '{}' "${half[@]}"
  figure "latency.$1_p99_us" us null lower '{}' "${most[@]}"
  half=() most=()
}
half=() most=()
# measure NAME ADDRESS
measure() {
  local run direction options
  wait_for 10 "iperf3 on $2" in_ns p timeout 2 socat -u OPEN:/dev/null "TCP:$2:5201"
  for run in $(seq $runs); do pings "$2"; done
  report "$1_idle"
  for direction in there back; do
    options=()
    [ $direction = back ] && options=(-R)
    spawn "bulk-$1-$direction" p iperf3 --forceflush -i 0.5 -c "$2" -t 1000 "${options[@]}"
    wait_for 10 "the bulk" eval '[ "$(grep -c " sec " "$WORK/bulk-'"$1-$direction"'.log")" -ge 2 ]'
    for run in $(seq $runs); do pings "$2"; done
    end "bulk-$1-$direction"
    report "$1_bulk_$direction"
  done
  checks=$((checks + 1))
}
path_is() { in_ns p ping -c 1 -W 1 q.i3 && [ "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')" = "$1" ]; }

measure raw 198.51.100.51
for way in node direct; do
  shortcuts=no
  [ $way = direct ] && shortcuts=yes
  write_proxy p know=q nodes=n1 allow='<allow from="q"/>' shortcuts=$shortcuts
  write_proxy q know=p nodes=n1 allow='<allow from="p"/>' shortcuts=$shortcuts
  start_proxy p q
  wait_for 20 "a path of the kind '$way'" path_is $way
  measure $way "$(address4 p q.i3)"
  end proxy-p
  end proxy-q
done
