#!/bin/bash
# Round trips while nothing else goes on, and beside one TCP stream as fast as it goes, in either
# direction: over the bare cable, through two proxies and one node, straight, and through the least
# tunnel and fastd (if it is installed); median and 99th percentile. I3_BENCH_FULL=1: longer and more
# often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 900
runs=1 count=400
[ -n "${I3_BENCH_FULL:-}" ] && runs=5 count=1500
. "$(dirname "$0")/small_tunnels.sh"
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
declare -A median
report() {
  median[$1]=$(percentile 0.5 < <(printf '%s\n' "${half[@]}"))
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
measure raw "$cable_to"
# by WAY: i3, by a node or straight.
by() {
  way=$1
  for host in p q; do
    sed -i "s/shortcuts=\"[a-z]*\"/shortcuts=\"$([ "$way" = direct ] && echo yes || echo no)\"/" "$WORK/$host/proxy.xml"
  done
  with_i3 on_that_way
}
on_that_way() { measure "$way" "$2"; }
by node
for kind in $kinds; do
  [ "$kind" = i3 ] && { by direct; continue; }
  "with_$kind" measure "$kind"
done
for kind in $kinds; do
  [ "$kind" = i3 ] && continue
  for direction in there back; do
    figure "latency.bulk_${direction}_vs_$kind" ratio null lower '{}' "$(awk -v own="${median[direct_bulk_$direction]}" \
      -v other="${median[${kind}_bulk_$direction]}" 'BEGIN { print own / other }')"
  done
done
