#!/bin/bash
# The node that holds the triggers of a conversation is killed with kill -9 in the middle of it, also
# where it is the sender's entry node as well: packets flow again within a second and a download
# arrives whole. A name whose public trigger's owner was just killed is reached within seconds.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 280
make_internet
start_resolver
NODES="n1 n2 n3 n4 n5 n6"
for n in $NODES; do make_public "$n" eth0 "198.51.100.1${n#n}/24" "2001:db8:1::1${n#n}/64"; done
make_host a 1
make_host b 2
start_ring
keygen n4 n5 n6 a b
for n in n4 n5 n6; do start_node $n n1; done
# shellcheck disable=SC2086
wait_for 30 "a ring of six" ring_is_whole $NODES
write_proxy a know=b nodes="$NODES" shortcuts=no
write_proxy b know=a nodes="$NODES" shortcuts=no allow='<allow from="a"/>'
start_proxy a b
start_nginx b
sum=$(big_file b file 200)

node_at() { sed 's/.*\.1\([0-9]\):.*/n\1/' <<< "$1"; }
via() { node_at "$(ctl "$1" --json peers | jq -r --arg p "$2" '.peers[] | select(.name == $p) | .via')"; }
kill_node() { kill -9 "${PID[node-$1]}"; wait_gone "${PID[node-$1]}" 5; unset "PID[node-$1]"; }
# again NODE: it comes back, through a node that lives.
again() {
  local other=n1
  [ "$1" = n1 ] && other=n2
  start_node "$1" $other
  # shellcheck disable=SC2086
  wait_for 60 "the ring with $1 again" ring_is_whole $NODES
}
# gap LOG: the longest time between two answers, in ms.
gap() {
  sed -n 's/^\[\([0-9.]*\)\].* time=.*/\1/p' "$WORK/$1.log" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%.0f", gap * 1000 }'
}
three_places() { [ "$(ctl "$1" --json triggers | jq '[.triggers[] | select(.nodes | length == 3)] | length')" -ge 6 ]; }
wait_for 20 "a's triggers at three nodes each" three_places a
wait_for 20 "b's triggers at three nodes each" three_places b
check "every trigger of a stands at its owner and two replicas" three_places a

# crash WHAT: a pings b 50 times a second and downloads from it, and the node between dies.
gaps=()
crash() {
  local what=$1 victim file=$WORK/a/got
  in_ns a ping -c 3 -i 0.2 b.i3 > /dev/null
  victim=$(via a b)
  rm -f "$WORK/pinging.log" "$file"
  spawn pinging a ping -D -O -n -i 0.02 -c 500 b.i3
  spawn download a curl -sS -m 100 --limit-rate 25M -o "$file" http://b.i3/file
  wait_for 20 "a part of the file" is_over "$file" 20000000
  wait_for 5 "the first answers" grep -q icmp_seq=100 "$WORK/pinging.log"
  kill_node "$victim"
  wait_gone "${PID[pinging]}" 30 || fail "ping hangs"
  gaps+=("$(gap pinging)")
  within "$what: $victim killed, packets out, ms" 0 1000 "${gaps[-1]}"
  wait_gone "${PID[download]}" 60 || fail "the download hangs after $victim was killed"
  same "$what: the download arrives whole" "$sum" "$(sha256sum < "$file" | cut -d' ' -f1)"
  unset "PID[pinging]" "PID[download]"
  again "$victim"
}
is_over() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }
crash "the owner of the receiver's triggers"
crash "another one"
between=$(via a b)
other=n1
[ "$between" = n1 ] && other=n2
end proxy-a
write_proxy a know=b nodes="$between $other" shortcuts=no
start_proxy a
crash "owner and the sender's entry node in one"
figure recover.node_crash_ms ms 1000 lower '{"paper 2004":15000}' "${gaps[@]}"

# A name that was never used, whose public trigger's owner is dead.
connects=()
for which in 0 1; do
  end proxy-a
  forget a
  write_proxy a know=b nodes="$NODES" shortcuts=no
  start_proxy a
  sleep 1
  victim=$(node_at "$(ctl b --json triggers | jq -r --argjson w $which '[.triggers[] | select(.kind == "public")][$w].node')")
  kill_node "$victim"
  start=$(now_ms)
  same "public ID $which: a page from a name whose node $victim was just killed" 200 \
    "$(in_ns a curl -4 -s -m 10 -o /dev/null -w '%{http_code}' http://b.i3/who)"
  connects+=($(($(now_ms) - start)))
  again "$victim"
done
figure recover.connect_owner_dead_ms ms 3000 lower '{}' "${connects[@]}"
within "the slowest of them, ms" 0 5000 "$(most "${connects[@]}")"
