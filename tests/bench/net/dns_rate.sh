#!/bin/bash
# DNS answers a second through real sockets: names of ours, which i3-proxy answers itself, and names
# of the Internet, which it passes to the resolver and back. I3_BENCH_FULL=1: longer and more often.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 120
runs=3 seconds=1
[ -n "${I3_BENCH_FULL:-}" ] && runs=9 seconds=3
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
keygen n1 p q
start_node n1
write_proxy p know=q nodes=n1
start_proxy p
ticks() { awk '{ print $14 + $15 }' "/proc/$(worker_of p)/stat"; }
# ask NAME: answers a second and the daemon's CPU time each, in microseconds.
ask() {
  local name=$1 rate share before
  before=$(ticks)
  read -r rate share < <(in_ns p "$I3_BIN/dns_source" 198.51.100.1:53 "$name" "$seconds")
  [ "$share" = 100.0 ] || fail "only $share % of the answers for $name had an address"
  rates+=("$rate")
  costs+=("$(awk "BEGIN { print ($(ticks) - $before) * 10000 / ($rate * $seconds) }")")
}
for kind in own passed; do
  name=q.i3
  [ $kind = own ] || name=real.example
  wait_for 10 "an answer for $name" in_ns p dig +time=1 +tries=1 +short @198.51.100.1 "$name"
  rates=() costs=()
  for _ in $(seq $runs); do ask "$name"; done
  figure "dns.${kind}_answers_per_s" 1/s null higher '{}' "${rates[@]}"
  figure "dns.${kind}_answer_cpu_us" us null lower '{}' "${costs[@]}"
  checks=$((checks + 1))
done
