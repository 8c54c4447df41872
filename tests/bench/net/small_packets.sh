#!/bin/bash
# UDP packets of 128 bytes at rising rates, and where those are lost that are lost: on the way, or in the
# buffer of the program that receives them (208 KiB, about 240 such packets), which holds as many
# milliseconds as it may have to wait for a processor. `small.carried_*_kpps` is the highest rate that came
# up to the receiver's buffer but for one in a thousand.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 900
. "$I3_TREE/tests/bench/net/small_tunnels.sh"
seconds=1 runs=1
[ -n "${I3_BENCH_FULL:-}" ] && seconds=3 runs=3
spawn iperf q iperf3 -s
mkdir "$WORK/rates"
full_buffers() { in_ns q cat /proc/net/snmp | awk '/^Udp:/ && $2 ~ /[0-9]/ { print $6 }'; }
# climb NAME ADDRESS: rates by a tenth, until so many are lost on the way, or the sender makes no more.
climb() {
  local rate=20 carried=0 before sent lost way out
  wait_for 10 "iperf3 on $2" in_ns p timeout 2 socat -u OPEN:/dev/null "TCP:$2:5201"
  while [ $rate -lt 400 ]; do
    before=$(full_buffers)
    out=$(in_ns p iperf3 -J -c "$2" -u -l 128 -b $((rate * 1024000)) -t $seconds 2> /dev/null | jq -c .end.sum)
    read -r sent lost <<< "$(jq -r '"\(.packets) \(.lost_packets)"' <<< "$out")"
    way=$((lost - ($(full_buffers) - before)))
    say "  $1: $((sent / seconds)) a second sent, $lost lost, of them $way on the way"
    [ $((way * 1000)) -gt "$sent" ] && break
    carried=$((sent / seconds))
    [ $((carried * 100)) -lt $((rate * 95000)) ] && break
    rate=$((rate + (rate + 9) / 10))
  done
  awk "BEGIN { print $carried / 1000 }" >> "$WORK/rates/$1"
}
for _ in $(seq $runs); do
  for kind in cable $kinds; do "with_$kind" climb; done
done
values() { tr '\n' ' ' < "$WORK/rates/$1"; }
for kind in cable $kinds; do
  # shellcheck disable=SC2046
  figure "small.carried_${kind}_kpps" kpps null higher '{}' $(values "$kind")
done
# shellcheck disable=SC2046
for kind in cable ${kinds/i3/}; do
  figure "small.carried_vs_$kind" ratio null higher '{}' \
    "$(awk "BEGIN { print $(median $(values i3)) / $(median $(values "$kind")) }")"
done
check "packets came through i3" awk -v "v=$(median $(values i3))" 'BEGIN { exit !(v > 0) }'
