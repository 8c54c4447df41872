#!/bin/bash
# Anonymous visits where the network drops all UDP: each goes by a TLS connection of its own, to a relay
# that the host itself does not use, and neither the visited host nor what passes in the clear links two
# of them. UDP that is blocked, and comes back, in the middle of a visit ends nothing.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 140
OUTSIDE=198.51.100.101
make_internet
start_resolver
nodes="n1 n2 n3 n4 n5"
TLS_NODES=$nodes
# shellcheck disable=SC2086
start_ring_of $nodes
make_host a 1
make_host b 2
keygen a b
write_proxy a know=
write_proxy b allow='<allow from="*" protocol="tcp" ports="80"/>'
printf '<address-book><host name="library" key="%s" anonymous="yes"/></address-book>\n' "${KEY[b]}" > "$WORK/a/book.xml"
block_udp ra
start_proxy b
start_nginx b
sum=$(big_file b file 10)
for at in "ra wan tcp port 443" "b eth0 udp"; do
  # shellcheck disable=SC2086
  set -- $at
  spawn "capture-$1" "$1" tcpdump -i "$2" -n -U --immediate-mode -w "$WORK/$1.pcap" "${*:3}"
  wait_for 10 "the capture on $1" grep -q "listening on" "$WORK/capture-$1.log"
done
start_proxy a
refuse "the test's network drops UDP" in_ns a dig +time=1 +tries=1 @198.51.100.1 real.example
same "the host itself is reached over TLS" tls "$(field a transport.way status)"
own=$(field a transport.node status)
row() { ctl a --json peers | jq -r '.peers[] | select(.anonymous)'"$1"; }
knows_a_relay() { ! field a 'problems | tostring' status | grep -q anonymous; }
wait_for 20 "relays to be ready" knows_a_relay

first=$(in_ns a curl -4 -sS -m 15 http://library.i3/who)
has "an anonymous name is reached over TLS" '^100\.' "$first"
same "i3-ctl peers says so" tls "$(row .path)"
same "10 MB arrive whole" "$sum" "$(in_ns a curl -4 -sS -m 60 http://library.i3/file | sha256sum | cut -d' ' -f1)"
via=$(row .via)
identity=$(row .identity)
# connections: where a's daemon is connected to now, a line each.
connections() { in_ns a ss -Hntp state established dport = :443 | awk '/i3-proxy/ { print $3, $4 }' | sort; }
connections > "$WORK/first"
same "one connection to the host's node, one that looked for relays, one of the visit" 3 "$(wc -l < "$WORK/first")"
# Two where the one that looked asked the very node that became the visit's relay.
grep " ${via%:*}:443$" "$WORK/first" > "$WORK/to-relay"
within "the visit's leads to its relay" 1 2 "$(wc -l < "$WORK/to-relay")"
refuse "which is not the node that the host is connected to" test "${via%:*}:443" = "$own"
same "the host's own is the only one to that node" 1 "$(grep -c " $own$" "$WORK/first")"

# The next visit is another stranger's.
check "a visit is ended by hand" ctl a renew library
second=$(in_ns a curl -4 -sS -m 15 http://library.i3/who)
has "the next one works" '^100\.' "$second"
refuse "from another address" test "$second" = "$first"
refuse "with another key" test "$(row .identity)" = "$identity"
connections > "$WORK/second"
new=$(comm -13 "$WORK/first" "$WORK/second")
same "by a new connection" 1 "$(grep -c " $(row .via | sed 's/:.*//'):443$" <<< "$new")"
gone() { [ "$(connections | grep -cxFf "$WORK/to-relay")" -lt "$(wc -l < "$WORK/to-relay")" ]; }
wait_for 5 "the end of the first visit's connection" gone
has "both were peers of the visited host" "$(row .identity)" "$(ctl b --json peers | jq -r '.peers[].key')"

# UDP comes back, and goes, under one download.
spawn load a sh -c 'curl -4 -sS --limit-rate 1M -m 60 http://library.i3/file | sha256sum | cut -d" " -f1'
stranger=$(row .identity)
way_is() { [ "$(field a transport.way status)" = "$1" ]; }
by() { way_is "$1" && [ "$(row .path)" = "$2" ]; }
unblock_udp ra
wait_for 30 "UDP to be used again" by udp node
same "no connection is left to any node but the host's" 0 "$(connections | grep -vc " $own$")"
in_ns a curl -4 -sS -m 15 -o /dev/null http://library.i3/who || fail "the visit does not go on over UDP"
block_udp ra
wait_for 20 "TLS again" by tls tls
has "the visit goes on over TLS" '^100\.' "$(in_ns a curl -4 -sS -m 20 --retry 3 http://library.i3/who)"
ended() { ! runs load; }
wait_for 60 "the download" ended
unset "PID[load]"
same "the download that ran through all of it is whole" "$sum" "$(cat "$WORK/load.log")"
same "and the visit is the same stranger's" "$stranger" "$(row .identity)"

for at in ra b; do end "capture-$at" INT 5; done
same "the visited host never sees where a is" 0 "$(tcpdump -r "$WORK/b.pcap" -n "host $OUTSIDE or host 192.168.1.2" 2> /dev/null | wc -l)"
python3 "$I3_TREE/tests/netns/host/hellos.py" 443 "$WORK/ra.pcap" > "$WORK/hellos" || fail "the capture cannot be read"
within "connections were seen to begin" 4 40 "$(wc -l < "$WORK/hellos")"
same "all their greetings are of one shape" 1 "$(jq -r .shape "$WORK/hellos" | sort -u | wc -l)"
same "none offers a session of before" 0 "$(jq 'select(.resumes)' "$WORK/hellos" | wc -l)"
same "none names a server" 0 "$(jq 'select(.names_server)' "$WORK/hellos" | wc -l)"
same "no two have a number in common" "$(jq -r '.random, (.session | select(. != ""))' "$WORK/hellos" | wc -l)" \
  "$(jq -r '.random, (.session | select(. != ""))' "$WORK/hellos" | sort -u | wc -l)"
refuse "no metric tells of anything that left for anybody but a relay" grep -E 'not_to_relay"} [1-9]' <(ctl a metrics)
