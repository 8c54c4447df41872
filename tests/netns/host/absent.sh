#!/bin/bash
# Hosts that are not there: the program hears so soon, and as soon as they are there it works.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 140
home_network
start_ring
keygen a b never
write_proxy a know="b never"
write_proxy b know=a allow='<allow from="a"/>'
start_proxy a
start_nginx b
# fails_in LOW HIGH SENTENCE NAME: curl finds no route to host, within that many seconds.
fails_in() {
  local start out
  start=$(now_ms)
  out=$(in_ns a curl -4 -sv -m 15 "http://$4/who" 2>&1)
  has "$3: no route to host" "No route to host" "$out"
  within "$3: seconds" "$1" "$2" "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
}
fails_in 0 4 "a key that nobody ever inserted" never.i3
fails_in 0 4 "a known host that is off" b.i3
fails_in 0 4 "by the name of its key" "${KEY[never]}.i3"
out=$(in_ns a ping -c 2 -W 5 never.i3 2>&1)
has "ping says that the host is unreachable" "[Uu]nreachable" "$out"
same "over IPv6: curl's exit code 7 (cannot connect)" 7 \
  "$(in_ns a sh -c 'curl -6 -sS -m 15 http://never.i3/ >/dev/null 2>&1; echo $?')"

start=$(now_ms)
start_proxy b
reaches() { in_ns a curl -sf -m 2 -o /dev/null http://b.i3/who; }
wait_for 10 "b after its start" reaches
within "reachable after its start: seconds" 0 10 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"

end proxy-b
fails_in 0 10 "a host that was just stopped" b.i3
start_proxy b
wait_for 10 "b after its second start" reaches
# Without a word of farewell: its router is unplugged, then the node cannot know at once.
loss rb wan 100
fails_in 0 10 "a host whose cable was pulled" b.i3
loss rb wan 0
wait_for 10 "b after its cable is back" reaches
check "and b works again" reaches
