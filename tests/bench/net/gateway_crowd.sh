#!/bin/bash
# A crowd of clients at one gateway, each a real i3-proxy with sessions and programs of its own: 1,000 names
# that nobody asked before a second while a stream of TCP runs, then 100 open connections of each client.
# I3_CROWD: clients, 100 in full.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
. "$I3_TREE/tests/netns/gateway/lib.sh"
begin 900
crowd=${I3_CROWD:-10} seconds=3 each=100 rate=1000
[ -n "${I3_BENCH_FULL:-}" ] && crowd=${I3_CROWD:-100} seconds=20
members=$(seq -f 'c%g' "$crowd")
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
# shellcheck disable=SC2086
keygen n1 g p $members
start_node n1
NODES=n1
make_intranet g 60 s
sed -i '/log-queries/d; $a address=/many.corp.example/10.1.0.10\naddress=/many.corp.example/fd10::10' "$WORK/s/dnsmasq.conf"
end dns-s
spawn dns-s s dnsmasq -C "$WORK/s/dnsmasq.conf"
write_gateway g "p $members" "$(for member in p $members; do echo "<allow client=\"$member\"/>"; done)"
make_public p eth0 198.51.100.50/24
number=100
for member in $members; do make_public "$member" eth0 "198.51.100.$((number++))/24"; done
for member in p $members; do
  write_proxy "$member" nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/>'
  know_gateway "$member" corp-gateway g
done
start_gateway g
# shellcheck disable=SC2086
start_proxy p $members
spawn iperf s iperf3 -s
spawn echo s "$I3_BIN/i3-test-load" echo 10.1.0.10 7
declare -A server=()
for member in p $members; do
  server[$member]=$(address4 "$member" www.corp.example)
  [ -n "${server[$member]}" ] || fail "$member does not resolve"
done

# ticks PID...: CPU of processes, in ticks of 10 ms.
ticks() { local pid; for pid in "$@"; do sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f12,13; done | awk '{ s += $1 + $2 } END { print s }'; }
resident_mb() { awk '/^VmRSS/ { s += $2 } END { printf "%.1f", s / 1024 }' "/proc/${PID[gateway-g]}/status" "/proc/$(gateway_worker g)/status"; }
sum_of() { sed -n "s/.*$1 \([0-9]*\).*/\1/p" "${@:2}" | awk '{ s += $1 } END { print s + 0 }'; }
logs_of() { local member; for member in $members; do echo "$WORK/$1-$member.log"; done; }
wait_crowd() {
  local member
  for member in $members; do
    wait_gone "${PID[$1-$member]}" 120 || fail "$1-$member does not end"
    unset "PID[$1-$member]"
  done
}
# stream FILE: at a fixed rate, which it keeps where nothing holds it up; and the worst round trip beside it.
stream() {
  spawn ping p ping -q -i 0.02 -c $((seconds * 50)) -W 2 "${server[p]}"
  in_ns p iperf3 -J -c "${server[p]}" -b 100M -t "$seconds" | jq '.end.sum_received.bits_per_second / 1e6'
  wait_gone "${PID[ping]}" 20 || fail "ping does not end"
  unset "PID[ping]"
}
rtt() { sed -n 's/^rtt.* = //p' "$WORK/ping.log" | tail -n 1 | cut -d/ -f"$1"; }

# ---- names
alone=$(stream)
say "alone: a stream of 100 Mbit/s moves $alone, round trips $(rtt 2) ms, at most $(rtt 3)"
before=$(ticks "$(gateway_worker g)" "${PID[gateway-g]}")
for member in $members; do
  stub=$(ctl "$member" --json status | jq -r .dns.server)
  spawn "names-$member" "$member" "$I3_BIN/i3-test-load" names "${stub%:53}" "$member" many.corp.example \
    "$(awk -v r=$rate -v c="$crowd" 'BEGIN { print r / c }')" "$seconds"
done
beside=$(stream)
wait_crowd names
after=$(ticks "$(gateway_worker g)" "${PID[gateway-g]}")
# shellcheck disable=SC2046
asked=$(sum_of asked $(logs_of names)) answered=$(sum_of answered $(logs_of names))
# shellcheck disable=SC2046
middle=$(median $(sed -n 's/.*p50_us \([0-9]*\).*/\1/p' $(logs_of names)))
# shellcheck disable=SC2046
late=$(median $(sed -n 's/.*p99_us \([0-9]*\).*/\1/p' $(logs_of names)))
say "$crowd clients asked $asked names at $rate a second, $answered answered; half within $middle us, 99 % within $late us"
say "beside them: a stream of 100 Mbit/s moves $beside, round trips $(rtt 2) ms, at most $(rtt 3)"
figure gateway.names_answered_percent % 100 higher '{}' "$(awk -v a="$asked" -v b="$answered" 'BEGIN { print 100 * b / a }')"
figure gateway.names_p50_us us null lower '{}' "$middle"
figure gateway.names_p99_us us null lower '{}' "$late"
figure gateway.names_cpu_us us null lower '{}' "$(awk -v t=$((after - before)) -v n="$answered" 'BEGIN { print t * 10000 / n }')"
figure gateway.names_stream_kept ratio 0.95 higher '{}' "$(awk -v a="$beside" -v b="$alone" 'BEGIN { print a / b }')"

# ---- connections
rss=$(resident_mb)
for member in $members; do
  spawn "flows-$member" "$member" "$I3_BIN/i3-test-load" flows "${server[$member]}" 7 "$each" "$WORK/go"
done
all_open() { local member; for member in $members; do grep -q '^open' "$WORK/flows-$member.log" || return 1; done; }
wait_for 120 "the connections" all_open
# shellcheck disable=SC2046
open=$(sum_of open $(logs_of flows))
say "$open connections of $crowd clients are open; the gateway has $(resident_mb) MiB, before them $rss"
say "the kernel follows $(in_ns g cat /proc/sys/net/netfilter/nf_conntrack_count) flows"
before=$(ticks "$(gateway_worker g)" "${PID[gateway-g]}")
touch "$WORK/go"
wait_crowd flows
after=$(ticks "$(gateway_worker g)" "${PID[gateway-g]}")
# shellcheck disable=SC2046
echoed=$(sum_of echoed $(logs_of flows))
figure "gateway.flows_of_$crowd" flows $((crowd * each)) higher '{}' "$echoed"
figure gateway.flows_rss_mb MiB null lower '{}' "$(resident_mb)"
figure gateway.flow_echo_cpu_us us null lower '{}' "$(awk -v t=$((after - before)) -v n="$echoed" 'BEGIN { print t * 10000 / n }')"
checks=$((checks + 2))
[ "$answered" -ge $((asked * 9 / 10)) ] || fail "$answered of $asked names were answered"
[ "$echoed" -ge $((crowd * each * 9 / 10)) ] || fail "$echoed of $((crowd * each)) connections work"
