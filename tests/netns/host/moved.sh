#!/bin/bash
# Lost keys, with real daemons: b gets a new key and says so with the old one. ssh and curl by the old
# name go on, over restarts and without its publisher; what was revoked has no name and gets in nowhere.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 110
home_network
start_ring
keygen a b fresh thief
write_proxy a know=b allow='<allow from="b"/>'
write_proxy b know=a allow='<allow from="a"/>'
start_proxy a b
start_nginx b
start_nginx a
start_sshd b
same "before, b answers by its name" 200 "$(in_ns a curl -s -m 5 -o /dev/null -w '%{http_code}' http://b.i3/who)"
code() { in_ns "$1" curl -4 -s -m 10 -o /dev/null -w '%{http_code}' "http://$2/who"; }
means() { [ "$(field "$1" key resolve "$2" 2>/dev/null)" = "$3" ]; }

# Made in advance and kept on paper: no daemon, no network.
moved=$("$I3_BIN/i3-ctl" move "$WORK/b.key" "${KEY[fresh]}") || fail "i3-ctl move"
revoked=$("$I3_BIN/i3-ctl" revoke "$WORK/b.key") || fail "i3-ctl revoke"
has "move prints one line" '^i3-record:[a-z2-7]{228}$' "$moved"
refuse "a key cannot move to itself" "$I3_BIN/i3-ctl" move "$WORK/b.key" "${KEY[b]}"
refuse "a damaged line is refused" ctl b publish "${moved/i3-record:a/i3-record:b}x"

# b's owner makes a new key, and the same machine goes on under it.
end proxy-b
cp "$WORK/fresh.key" "$WORK/b.key"
write_proxy b know=a allow='<allow from="a"/>'
start_proxy b
same "the machine has its new key" "${KEY[fresh]}" "$(field b key identity)"
out=$(ctl b publish "$moved")
has "it tells the overlay what the old key says" "${KEY[b]} moved to ${KEY[fresh]}: kept at [1-9] nodes" "$out"
wait_for 75 "a's name for it to mean the new key" means a b "${KEY[fresh]}"
wait_for 10 "b to be reached by its old name" in_ns a curl -4 -sf -m 3 -o /dev/null http://b.i3/who
same "curl by the old name goes on" 200 "$(code a b.i3)"
same "ssh by the old name goes on" b "$(ssh_from a b.i3 cat /proc/sys/kernel/hostname)"
check "and by the old key" in_ns a ping -c 1 -W 3 "${KEY[b]}.i3"
wait_for 10 "b to get in under its new key by the old rule" in_ns b curl -4 -sf -m 3 -o /dev/null http://a.i3/who
has "names says so" "b.i3 is ${KEY[fresh]} now: i3-ctl book adopt" "$(ctl a names)"
has "and the log" "key_moved.*${KEY[b]}" "$(cat "$WORK/proxy-a.log")"

# The nodes forget: what a believed stays.
end proxy-a
end proxy-b
for n in n1 n2 n3; do end "node-$n"; done
start_node n1
wait_for 10 "node n1" ctl_node n1 ring
start_node n2 n1
start_node n3 n1
wait_for 20 "a ring of three" ring_is_whole n1 n2 n3
start_proxy a
check "a believes it over a restart, and without anybody who tells it" means a b "${KEY[fresh]}"
check "what is believed is written into the book on demand" ctl a book adopt b
has "under the old name" "<host name=\"b\" key=\"${KEY[fresh]}\"" "$(cat "$WORK/a/book.xml")"
start_proxy b

# a's own key is stolen: a revokes it, and b, which let it in, refuses it from then on.
same "a is let in" 200 "$(code a b.i3)"
revoked=$("$I3_BIN/i3-ctl" revoke "$WORK/a.key")
check "the revocation is published" ctl b publish "$revoked"
refuse "a revoked key is not let in any more" code a b.i3
refuse "and has no name" in_ns b getent ahosts a.i3
has "status says why" "a: its key was revoked" "$(ctl b status)"
out=$(ctl b publish "$("$I3_BIN/i3-ctl" move "$WORK/a.key" "${KEY[thief]}")" 2>&1)
has "nothing that it says counts after that" "the key was revoked: nothing that it says counts" "$out"
end proxy-a
start_proxy a
own_revoked() { ctl a status | grep -q "this host's own key was revoked"; }
wait_for 15 "the one who has the key to learn it, too" own_revoked
