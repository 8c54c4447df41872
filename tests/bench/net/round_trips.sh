#!/bin/bash
# Round trips between two hosts through tunnels that are started anew for each measurement, in turn: where
# the kernel happens to put two processes decides more than what they do, and it stays so until they
# end.
. "$(dirname "$0")/../../netns/lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 900
. "$I3_TREE/tests/bench/net/small_tunnels.sh"
rounds=2
[ -n "${I3_BENCH_FULL:-}" ] && rounds=5

# trip NAME ADDRESS: the median round trip of 1000 pings a millisecond apart, in us, to trips/NAME.
mkdir "$WORK/trips"
trip() {
  in_ns p ping -c 1000 -i 0.001 "$2" | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n |
    awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] * 1000 }' >> "$WORK/trips/$1"
}
for _ in $(seq $rounds); do
  for kind in cable $kinds; do "with_$kind" trip; done
done

values() { tr '\n' ' ' < "$WORK/trips/$1"; }
for kind in cable $kinds; do
  # shellcheck disable=SC2046
  figure "rtt.anew_${kind}_us" us null lower '{}' $(values "$kind")
done
# shellcheck disable=SC2046
cable=$(median $(values cable))
# shellcheck disable=SC2046
added() { awk "BEGIN { print $(median $(values "$1")) - $cable }"; }
for kind in ${kinds/i3/}; do
  figure "rtt.anew_added_vs_$kind" ratio null lower "{\"$kind\": $(added "$kind")}" \
    "$(awk "BEGIN { print $(added i3) / $(added "$kind") }")"
done
answered() { for kind in cable $kinds; do [ "$(wc -l < "$WORK/trips/$kind")" = "$rounds" ] || return 1; done; }
check "every program answered in every round" answered
