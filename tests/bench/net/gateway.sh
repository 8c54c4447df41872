#!/bin/bash
# What a gateway costs: a name through it against the same resolution (A and AAAA at once, as programs ask) done at the
# gateway and one round trip of the overlay, and bytes to an intranet against bytes between two proxies, all in one run.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
. "$I3_TREE/tests/netns/gateway/lib.sh"
begin 600
runs=1 seconds=2 names=200
[ -n "${I3_BENCH_FULL:-}" ] && runs=5 seconds=8 names=400
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
keygen n1 p q g
start_node n1
NODES=n1
wait_for 10 "the node" ctl_node n1 ring
make_intranet g 60 s
sed -i '/log-queries/d; $a address=/many.corp.example/10.1.0.10\naddress=/many.corp.example/fd10::10' "$WORK/s/dnsmasq.conf"
end dns-s
spawn dns-s s dnsmasq -C "$WORK/s/dnsmasq.conf"
write_gateway g p '<allow client="p"/>'
write_proxy p know=q nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/>'
write_proxy q know=p nodes=n1 allow='<allow from="p"/>'
know_gateway p corp-gateway g
start_gateway g
start_proxy p q
spawn iperf-q q iperf3 -s
spawn iperf-s s iperf3 -s
stub=$(ctl p --json status | jq -r .dns.server)
stub=${stub%:53}
wait_for 10 "the gateway" in_ns p dig +time=2 +tries=1 +short "@$stub" www.corp.example

# us_each HOST SERVER LABEL: microseconds a name, the median; new names each time.
us_each() {
  local result
  result=$(in_ns "$1" "$I3_BIN/i3-test-load" ask "$2" "$3" many.corp.example "$names")
  [ "${result% p50_us *}" = "answered $names" ] || fail "not every name was answered: $result"
  echo "${result##* }"
}
mbit() { in_ns p iperf3 -J -c "$1" -t "$seconds" "${@:2}" | jq '.end.sum_received.bits_per_second / 1e6'; }
added=() ratio=() reverse=()
us_each p "$stub" warm > /dev/null
us_each g 10.1.0.10 warm > /dev/null
server=$(address4 p www.corp.example)
for run in $(seq $runs); do
  there=$(us_each g 10.1.0.10 "there$run")
  here=$(us_each p "$stub" "here$run")
  rtt=$(ctl p --json ping corp-gateway -c 10 | jq '.rtt_min_ms * 1000')
  added+=("$(awk -v a="$here" -v b="$there" -v c="$rtt" 'BEGIN { print a - b - c }')")
  say "a name through the gateway $here us, resolved there $there us, round trip $rtt us"
  direct=$(mbit "$(address4 p q.i3)") through=$(mbit "$server")
  ratio+=("$(awk -v a="$through" -v b="$direct" 'BEGIN { print a / b }')")
  direct=$(mbit "$(address4 p q.i3)" -R) through=$(mbit "$server" -R)
  reverse+=("$(awk -v a="$through" -v b="$direct" 'BEGIN { print a / b }')")
  checks=$((checks + 1))
done
figure gateway.added_us us 100 lower '{}' "${added[@]}"
figure gateway.throughput_vs_direct ratio 0.8 higher '{}' "${ratio[@]}"
figure gateway.throughput_vs_direct_back ratio 0.8 higher '{}' "${reverse[@]}"
