#!/bin/bash
# A name with anonymous="yes" is visited by a stranger: real programs reach it, what the visited host
# and the nodes see is the visit's relay and a key that nobody saw before, and the next visit is
# somebody else's. The same host under an ordinary name is an ordinary peer at the same time.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 170
OUTSIDE=198.51.100.101
make_internet
start_resolver
nodes="n1 n2 n3 n4 n5"
# shellcheck disable=SC2086
start_ring_of $nodes
make_host a 1
make_host b 2
keygen a b
write_proxy a know=
write_proxy b allow='<allow from="*" protocol="tcp" ports="80"/>'
a_book() {
  {
    echo "<address-book><host name=\"a\" key=\"${KEY[a]}\"/>"
    printf '%s\n' "$@" '</address-book>'
  } > "$WORK/a/book.xml"
}
LIBRARY="<host name=\"library\" key=\"${KEY[b]}\" anonymous=\"yes\"/>"
a_book "$LIBRARY"
start_proxy a b
start_nginx b
big_file b file 20 > "$WORK/sum"

ports() { in_ns a ss -Hunap | grep i3-proxy | awk '{ sub(/.*:/, "", $4); print $4 }' | sort -u; }
row() { ctl a --json peers | jq -r '.peers[] | select(.anonymous)'"$1"; }
b_keys() { ctl b --json peers | jq -r '.peers[].key'; }
knows_a_relay() { ! field a 'problems | tostring' status | grep -q anonymous; }
wait_for 20 "relays to be ready" knows_a_relay
refuse "nothing about anonymous names is left unsupported" grep -q "not supported" <(ctl a status)

# The NAT check has a socket beside the daemon's own for a while.
nat_is_checked() { [ "$(field a nat.checked_s status)" != null ]; }
wait_for 20 "the NAT check" nat_is_checked
ports > "$WORK/before"
for n in $nodes b; do
  spawn "capture-$n" "$n" tcpdump -i eth0 -n -U --immediate-mode -w "$WORK/$n.pcap" udp
  wait_for 10 "the capture on $n" grep -q "listening on" "$WORK/capture-$n.log"
done
first=$(in_ns a curl -4 -sS -m 15 http://library.i3/who)
ports > "$WORK/after"
port=$(comm -13 "$WORK/before" "$WORK/after")
same "the visit has a socket of its own" 1 "$(wc -w <<< "$port")"
has "the visited host sees a virtual address" '^100\.' "$first"
refuse "which is not a's own" test "$first" = "$(field a ipv4 status)"
via=$(row .via)
has "the way leads through a node" '^198\.51\.100\.1[1-5]:5100$' "$via"
same "and is none other" node "$(row .path)"
identity=$(row .identity)
same "the visited host knows the visitor by the visit's key" "$identity" "$(b_keys)"
same "under the address that its programs see" "$first" "$(ctl b --json peers | jq -r '.peers[0].ipv4')"
same "20 MB arrive whole" "$(cat "$WORK/sum")" "$(in_ns a curl -4 -sS -m 60 http://library.i3/file | sha256sum | cut -d' ' -f1)"
has "over IPv6 as well" '^fd5f:' "$(in_ns a curl -6 -sS -m 10 http://library.i3/who)"
check "ping through the overlay" ctl a ping library -c 2
same "the name keeps its address while the visit lives" "$(address4 a library)" "$(in_ns a dig +short library.i3)"
same "and the address its name" library.i3. "$(in_ns a dig +short -x "$(address4 a library)")"
for n in $nodes b; do end "capture-$n" INT 5; done

seen() { tcpdump -r "$WORK/$1.pcap" -n "$2" 2>/dev/null | wc -l; }
same "the visited host never sees where a is" 0 "$(seen b "host $OUTSIDE or host 192.168.1.2")"
relay=n${via#198.51.100.1}
relay=${relay%:5100}
check "the relay sees the visit's socket" test "$(seen "$relay" "host $OUTSIDE and port $port")" -gt 100
for n in $nodes; do
  [ "$n" = "$relay" ] || same "$n, which is not the relay, does not" 0 "$(seen "$n" "host $OUTSIDE and port $port")"
done

# The next visit is another stranger's.
old=$(address4 a library)
check "a visit is ended by hand" ctl a renew library
second=$(in_ns a curl -4 -sS -m 15 http://library.i3/who)
has "the next one works" '^100\.' "$second"
refuse "from another address" test "$second" = "$first"
refuse "with another key" test "$(row .identity)" = "$identity"
refuse "at another address here" test "$(address4 a library)" = "$old"
has "both were peers of the visited host" "$(row .identity)" "$(b_keys)"
refuse "the old address leads nowhere" in_ns a curl -4 -sS -m 5 "http://$old/who"

# The same host by an ordinary name.
a_book "$LIBRARY" "<host name=\"b\" key=\"${KEY[b]}\"/>"
check "a book that names it openly too" ctl a reload
in_ns a curl -4 -sS -m 15 http://b.i3/who > "$WORK/open"
same "openly a comes as itself" "$(ctl b --json peers | jq -r ".peers[] | select(.key == \"${KEY[a]}\") | .ipv4")" "$(cat "$WORK/open")"
same "and the visit goes on beside it" "$second" "$(in_ns a curl -4 -sS -m 15 http://library.i3/who)"

# Nothing is kept.
identity=$(row .identity)
end proxy-a
refuse "no state of the visit is on disk" in_ns a sh -c "grep -rqE 'library|$identity' /var/lib/i3"
a_book "$LIBRARY"
start_proxy a
third=$(in_ns a curl -4 -sS -m 20 http://library.i3/who)
has "after a restart it is a new visit" '^100\.' "$third"
refuse "by a third stranger" test "$third" = "$second"
refuse "with a third key" test "$(row .identity)" = "$identity"
refuse "no metric tells of anything that left for anybody but a relay" grep -E 'not_to_relay"} [1-9]' <(ctl a metrics)
