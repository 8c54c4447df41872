#!/bin/bash
# Several nodes form a ring by joining one of them, and find each other again when one leaves.
. "$(dirname "$0")/../lib.sh"
begin 110
make_internet
start_resolver
for n in 1 2 3 4; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
start_ring
checks=$((checks + 1))
# Whose successor is next to whom: following the first successors must visit all and come back.
goes_round() {
  local at=$1 seen=0 next
  while [ $seen -lt $# ]; do
    next=$(ctl_node "$at" ring | jq -r '.successors[0].address')
    at=n$(sed 's/.*\.1\([0-9]\):.*/\1/' <<< "$next")
    case " $* " in *" $at "*) ;; *) return 1 ;; esac
    seen=$((seen + 1))
    [ "$at" = "$1" ] && break
  done
  [ "$seen" = $# ] && [ "$at" = "$1" ]
}
wait_for 10 "the successors to go round" goes_round n1 n2 n3
check "the first successors visit all three and come back" goes_round n1 n2 n3
predecessors_agree() {
  local n p
  for n in "$@"; do
    p=n$(ctl_node "$n" ring | jq -r '.predecessor.address' | sed 's/.*\.1\([0-9]\):.*/\1/')
    [ "$(ctl_node "$p" ring | jq -r '.successors[0].id')" = "$(ctl_node "$n" ring | jq -r .id)" ] || return 1
  done
}
wait_for 10 "predecessors" predecessors_agree n1 n2 n3
check "each one's predecessor has it as successor" predecessors_agree n1 n2 n3

# By the command line, without a file.
spawn node-n4 n4 "$I3_BIN/i3-node" --listen 198.51.100.14:5100 --join 198.51.100.12:5100 --state-dir "$WORK/n4"
wait_for 20 "a ring of four" goes_round n1 n2 n3 n4
check "a fourth one joins by the command line alone" goes_round n1 n2 n3 n4

start=$(now_ms)
end node-n2
within "SIGTERM ends a node: seconds" 0 5 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
same "with exit code 0" 0 "$STATUS"
wait_for 20 "the ring without n2" goes_round n1 n3 n4
check "the others close the ring when one leaves" goes_round n1 n3 n4
end node-n3 KILL
wait_for 30 "the ring without n3" goes_round n1 n4
check "and when one dies" goes_round n1 n4
start_node n2 n1
start_node n3 n4
wait_for 30 "the ring of four again" goes_round n1 n2 n3 n4
check "both come back" goes_round n1 n2 n3 n4
