#!/bin/bash
# A hundred real i3-node daemons, each at a loopback address of its own in one namespace, while one
# is killed with kill -9 every few seconds and comes back 5 s later: how many look-ups succeed.
# I3_CHURN_SECONDS, I3_CHURN_NODES, I3_CHURN_BETWEEN: a longer run, another crowd, another rate.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 560
nodes=${I3_CHURN_NODES:-100} seconds=${I3_CHURN_SECONDS:-60} between=${I3_CHURN_BETWEEN:-4}
new_host crowd
mkdir -p "$WORK/nodes"
result=$(in_ns crowd "$I3_BIN/i3-test-churn" "$I3_BIN/i3-node" "$WORK/nodes" "$nodes" "$seconds" "$between" 20) ||
  fail "the crowd did not come up: $result"
say "$result"
read -r asked failed <<< "$(sed -n 's/^lookups \([0-9]*\) failed \([0-9]*\) .*/\1 \2/p' <<< "$result")"
share=$(awk -v a="$asked" -v f="$failed" 'BEGIN { printf "%.3f", 100 * (a - f) / a }')
figure "churn.lookups_of_${nodes}_daemons_percent" % 99.9 higher '{"paper 2003":99.84}' "$share"
within "look-ups that succeed, percent" "${I3_CHURN_LEAST:-99}" 100 "$share"
