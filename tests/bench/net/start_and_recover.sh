#!/bin/bash
# How long i3-proxy needs to be ready, what it holds, spends and sends when idle, and how long packets
# stay out when its worker is killed. I3_BENCH_FULL=1: more often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 600
runs=3
[ -n "${I3_BENCH_FULL:-}" ] && runs=15
two_hosts
resident() { awk '/VmRSS/ { print $2 / 1024 }' "/proc/$1/status"; }
ready=()
held=()
out=()
for run in $(seq $runs); do
  end proxy-a
  start=$(now_ms)
  start_proxy a
  ready+=($(($(now_ms) - start)))
  # The larger of parent and worker, as the peers were measured.
  held+=("$(most "$(resident "${PID[proxy-a]}")" "$(resident "$(worker_of a)")")")
  wait_for 10 "a ping" in_ns a ping -c 1 -W 1 b.i3
  spawn pinging a ping -D -O -n -i 0.02 -c 300 b.i3
  wait_for 5 "the first answers" grep -q icmp_seq=20 "$WORK/pinging.log"
  kill -9 "$(worker_of a)"
  wait_gone "${PID[pinging]}" 30 || fail "ping hangs"
  out+=("$(sed -n 's/^\[\([0-9.]*\)\].* time=.*/\1/p' "$WORK/pinging.log" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { print gap * 1000 }')")
  rm "$WORK/pinging.log"
done
# Nothing happens: a book of a hundred hosts, of which one has been spoken to.
names=$(seq -f h%g 99)
keygen $names
end proxy-a
write_proxy a know="b $(echo $names)"
start_proxy a
wait_for 10 "a ping" in_ns a ping -c 1 -W 1 b.i3
sleep 5
ticks() { cat "/proc/${PID[proxy-a]}/stat" "/proc/$(worker_of a)/stat" | awk '{ sub(/.*\) /, ""); sum += $12 + $13 } END { print sum }'; }
bytes() { in_ns a cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/tx_bytes | awk '{ sum += $1 } END { print sum }'; }
seconds=20
[ -n "${I3_BENCH_FULL:-}" ] && seconds=120
before_ticks=$(ticks) before_bytes=$(bytes) start=$(now_ms)
sleep $seconds
took=$(($(now_ms) - start))
cpu=$(awk -v n=$(($(ticks) - before_ticks)) -v hz="$(getconf CLK_TCK)" -v ms="$took" 'BEGIN { print 100 * n / hz / (ms / 1000) }')
rate=$(awk -v n=$(($(bytes) - before_bytes)) -v ms="$took" 'BEGIN { print n / (ms / 1000) }')
figure start.ready_ms ms 300 lower '{}' "${ready[@]}"
figure idle.rss_mb MB 15 lower '{}' "${held[@]}"
figure idle.cpu_percent % 0.1 lower '{}' "$cpu"
figure idle.bytes_per_s_100_peers B/s 2000 lower '{}' "$rate"
figure recover.proxy_kill_ms ms 3000 lower '{"paper 2004":15000}' "${out[@]}"
checks=$((checks + 1))
