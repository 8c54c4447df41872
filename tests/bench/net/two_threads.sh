#!/bin/bash
# What a second thread carries more, where a processor is free for it: one host sends as fast as it
# can to a peer whose cable takes the small packets only, so that no receiver needs a processor. And
# where none is free, with both hosts and both programs on this machine. In turn, the same programs.
# I3_BENCH_FULL=1: more often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 900
runs=2 seconds=2
[ -n "${I3_BENCH_FULL:-}" ] && runs=5 seconds=4
. "$(dirname "$0")/pair.sh"
start_pair
to=$(address4 p q.i3)
set_threads() {
  for host in p q; do
    sed -i "s|threads=\"[a-z0-9]*\"|threads=\"$1\"|" "$WORK/$host/proxy.xml"
    ctl $host reload > /dev/null || fail "reload with $1 threads"
  done
}
threads() { field p tun.threads status; }
changes() { ctl p metrics | sed -n 's/^i3_proxy_thread_changes_total //p'; }
sent() { field p 'peers[0].tx_bytes' peers; }
ticks() { awk '{ print $14 + $15 }' "/proc/$(worker_of p)/stat"; }
# gigabits: that p sends a second, over some seconds.
gigabits() {
  local before begin end
  before=$(sent) begin=$(now_ms)
  end=$((begin + seconds * 1000))
  while [ "$(now_ms)" -lt $end ]; do pause; done
  awk -v bytes=$(($(sent) - before)) -v ms=$(($(now_ms) - begin)) 'BEGIN { print bytes * 8 / ms / 1e6 }'
}

# ---- a processor to spare
in_ns q nft -f - << 'RULES' || fail "no hook"
table netdev only {
  chain in { type filter hook ingress device "eth0" priority 0; udp length > 1200 drop; }
}
RULES
# Something has to come back, or the way would be given up; not by the full queue of p.
spawn pings q ping -i 0.2 "$(address4 q p.i3)"
spawn source p "$I3_BIN/packet_source" "$to:9" 1372 1000000000 "" 40 1800000
grows() { local now; now=$(sent); [ "$now" -gt $((${last:-now} + 100000)) ] || { last=$now; false; }; }
wait_for 10 "the load" grows
line=() one=() two=() own=()
for _ in $(seq $runs); do
  line+=("$("$I3_BIN/between_processors")")
  set_threads 1; one+=("$(gigabits)")
  set_threads 2; two+=("$(gigabits)")
  set_threads auto
  before=$(changes)
  own+=("$(gigabits)")
  tried=$((${tried:-0} + $(changes) - before))
done
ratio() { paste -d' ' <(printf '%s\n' $1) <(printf '%s\n' $2) | awk '{ print $2 / $1 }'; }
figure threads.line_between_processors_ns ns null lower '{}' "${line[@]}"
figure threads.one_sends_gbit Gbit/s null higher '{}' "${one[@]}"
figure threads.two_send_gbit Gbit/s null higher '{}' "${two[@]}"
figure threads.two_vs_one ratio null higher '{}' $(ratio "${one[*]}" "${two[*]}")
figure threads.auto_vs_one ratio 0.95 higher '{}' $(ratio "${one[*]}" "${own[*]}")
say "by itself: $tried changes, $(threads) now"
end source
end pings
in_ns q nft delete table netdev only
one_now() { in_ns p ping -c 1 -W 1 q.i3 > /dev/null; [ "$(threads)" = 1 ]; }
wait_for 20 "one thread where one is enough" one_now

# ---- none to spare
spawn iperf q iperf3 -s
wait_for 10 "iperf3" in_ns p timeout 2 socat -u OPEN:/dev/null "TCP:$to:5201"
spawn client p iperf3 --forceflush -c "$to" -t 1000
wait_for 5 "the bulk" grep -q ' sec ' "$WORK/client.log"
one=() two=() own=()
for _ in $(seq $runs); do
  set_threads 1; one+=("$(gigabits)")
  set_threads 2; two+=("$(gigabits)")
  set_threads auto; own+=("$(gigabits)")
done
figure threads.full_two_vs_one ratio null higher '{}' $(ratio "${one[*]}" "${two[*]}")
figure threads.full_auto_vs_one ratio 0.9 higher '{}' $(ratio "${one[*]}" "${own[*]}")
say "with nothing to spare: $(threads) threads"
checks=$((checks + 1))
