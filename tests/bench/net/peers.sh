#!/bin/bash
# This project and other tunnel programs, one after the other in one run between the same
# namespaces; the ratios are the figures. `custom` is bare_tunnel.cc, the least that a program in this
# place can do. Rows stay in peers.jsonl beside the figures, for bars.py. Needs a folder with peers.sh and peers.py ($I3_PEERS_BENCH,
# or ../shared/bench beside the tree) and the peers that it names; ends with 77 without.
#   I3_BENCH_FULL=1: 5 runs each.   I3_PEERS, I3_RELAYS: other peers.   I3_WIRE: offload or plain.
#   I3_OWN: of ours only these, of i3, i3-relay, custom.
set -euo pipefail
tree=$(cd "$(dirname "$0")/../../.." && pwd)
I3_BIN=${I3_BIN:-$tree/build/bin}
export I3_BIN
# shellcheck disable=SC1091
. "$tree/tests/netns/figures.sh"
bench=${I3_PEERS_BENCH:-$tree/../shared/bench}
[ -z "${CI:-}" ] || [ -n "${I3_PEERS_BENCH:-}" ] || { echo "a machine that runs checks compares nothing"; exit 77; }
[ -x "$bench/peers.sh" ] || { echo "no $bench/peers.sh: nothing to compare with"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "needs root for its namespaces"; exit 77; }
options=(--quick)
[ -n "${I3_BENCH_FULL:-}" ] && options=(--runs 5 --tcp1-t 2 --tcp4-t 2 --udp-t 1)
read -ra peers <<< "${I3_PEERS:-wg-go nebula fastd-salsa}"
read -ra relays <<< "${I3_RELAYS:-}"
read -ra wires <<< "${I3_WIRE:-offload plain}"
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
read -ra own <<< "${I3_OWN:-i3 i3-relay custom}"
options+=(--a "$I3_BIN/bare_tunnel bare 10.200.100.1/24 10.200.0.2"
  --b "$I3_BIN/bare_tunnel bare 10.200.100.2/24 10.200.0.1")

# best FIELD PICK: the best peer's value, PICK being max or min; null without peers.
best() { jq -s --argjson ours '["raw","i3","raw-relay","i3-relay","custom"]' "[.[] | select(.error == null and (.peer as \$p | \$ours | index(\$p) == null)) | .$1 | select(. != null)] | $2" "$rows"; }
of() { jq -s "[.[] | select(.peer == \"$1\")][0].$2" "$rows"; }
# ratio NAME FIELD PICK GOAL BETTER
ratio() {
  local ours peer
  ours=$(of i3 "$2") peer=$(best "$2" "$3")
  if [ "$ours" != null ] && [ "$peer" != null ] && [ "$peer" != 0 ]; then
    figure "$1" ratio "$4" "$5" "{\"best peer\": $peer, \"i3\": $ours}" "$(awk "BEGIN { print $ours / $peer }")"
  fi
}

for wire in "${wires[@]}"; do
  : > "$rows"
  "$bench/peers.sh" --wire "$wire" "${options[@]}" --out "$rows" raw "${peers[@]}" "${own[@]}" "${relays[@]}"
  cat "$rows" >> "${I3_FIGURES%/*}/peers.jsonl"
  suffix=""
  [ "$wire" = plain ] && suffix=.plain
  [ "$(of i3 error)" = null ] || { echo "i3: $(of i3 error)" >&2; exit 1; }
  ratio "tcp1.ratio_best_peer$suffix" tcp1 max 2.5 higher
  ratio "tcp4.ratio_best_peer$suffix" tcp4 max 2.5 higher
  ratio "udp.ratio_best_peer$suffix" udp max 1.4 higher
  raw=$(of raw rtt) ours=$(of i3 rtt) peer=$(best rtt min)
  if [ "$peer" != null ]; then
    figure "rtt.added_ratio_best_peer$suffix" ratio 0.7 lower \
      "{\"raw\": $raw, \"best peer\": $peer, \"i3\": $ours}" "$(awk "BEGIN { print ($ours - $raw) / ($peer - $raw) }")"
  fi
  bare_rtt=$(of custom rtt)
  if [ "$bare_rtt" != null ]; then
    figure "rtt.added_ratio_bare_tunnel$suffix" ratio null lower \
      "{\"raw\": $raw, \"bare tunnel\": $bare_rtt, \"i3\": $ours}" "$(awk "BEGIN { print ($ours - $raw) / ($bare_rtt - $raw) }")"
  fi
  figure "cpu.seconds_per_gb$suffix" s 1.4 lower "{\"best peer\": $(best dcpu min)}" "$(of i3 dcpu)"
  figure "rss.loaded_mb$suffix" MiB 32 lower '{}' "$(of i3 rss)"
  if [ "$(of i3-relay tcp1)" != null ] && [ "$(of i3 tcp1)" != null ]; then
    figure "relay.vs_direct_tcp$suffix" ratio null higher '{}' \
      "$(awk "BEGIN { print $(of i3-relay tcp1) / $(of i3 tcp1) }")"
  fi
done
