#!/bin/bash
# Mbit/s, packets a second and round trips between two hosts through two proxies: by one node,
# straight, and over the bare cable in the same run. I3_BENCH_FULL=1: longer and more often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 1500
runs=1 seconds=2
[ -n "${I3_BENCH_FULL:-}" ] && runs=5 seconds=8
. "$(dirname "$0")/pair.sh"
wait_for 10 "the node" ctl_node n1 ring
spawn iperf q iperf3 -s

# iperf ADDRESS OPTION...: once more while the server still counts the test before.
iperf() {
  local out try
  for try in 1 2 3 4 5; do
    out=$(in_ns p iperf3 -J -c "$1" -t "$seconds" "${@:2}" 2> /dev/null)
    [ "$(jq 'has("error")' <<< "$out")" = false ] && break
    pause
  done
  echo "$out"
}
# measure NAME ADDRESS: the figures net.NAME_...
measure() {
  local name=$1 to=$2 tcp1=() tcp4=() reverse=() pps=() lost=() rtt=() run udp
  wait_for 10 "iperf3 on $to" in_ns p timeout 2 socat -u OPEN:/dev/null "TCP:$to:5201"
  iperf "$to" -t 1 > /dev/null
  for run in $(seq $runs); do
    rtt+=("$(in_ns p ping -c 200 -i 0.002 -q "$to" | sed -n 's/^rtt.* = [0-9.]*\/\([0-9.]*\)\/.*/\1/p' | awk '{ print $1 * 1000 }')")
    tcp1+=("$(iperf "$to" | jq '.end.sum_received.bits_per_second / 1e6')")
    reverse+=("$(iperf "$to" -R | jq '.end.sum_received.bits_per_second / 1e6')")
    tcp4+=("$(iperf "$to" -P 4 | jq '.end.sum_received.bits_per_second / 1e6')")
    udp=$(iperf "$to" -u -b 0 -l 128 | jq -c '.end.sum')
    pps+=("$(jq '(.packets - .lost_packets) / .seconds / 1000' <<< "$udp")")
    lost+=("$(jq '.lost_percent' <<< "$udp")")
  done
  figure "net.${name}_rtt_us" us null lower '{}' "${rtt[@]}"
  figure "net.${name}_tcp1_mbit" Mbit/s null higher '{}' "${tcp1[@]}"
  figure "net.${name}_tcp1_reverse_mbit" Mbit/s null higher '{}' "${reverse[@]}"
  figure "net.${name}_tcp4_mbit" Mbit/s null higher '{}' "${tcp4[@]}"
  figure "net.${name}_udp128_peak_kpps" kpps null higher '{}' "${pps[@]}"
  figure "net.${name}_udp128_lost_at_peak" percent null lower '{}' "${lost[@]}"
  checks=$((checks + 1))
}
measure raw 198.51.100.51
for way in node direct; do
  shortcuts=no
  [ $way = direct ] && shortcuts=yes
  for pair in "p q" "q p"; do
    # shellcheck disable=SC2086
    set -- $pair
    write_proxy "$1" know="$2" nodes=n1 allow="<allow from=\"$2\"/>" shortcuts=$shortcuts
  done
  start_pair
  measure $way "$(address4 p q.i3)"
  same "the path is still of the kind '$way'" $way "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')"
  end proxy-p
  end proxy-q
done
