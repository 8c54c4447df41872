#!/bin/bash
# A host with systemd-resolved: only our names come to us, by settings of our link alone; everything
# is as before when we are gone, however we went.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/resolved.sh"
begin 110
home_network
start_ring
keygen a b
write_proxy a know=b
start_resolved a
links() { resolvectl_in a status | grep -vE '^ *Current DNS Server'; }
links > "$WORK/before"
dump_state a "$WORK/state-before"
resolves() { [ "$(in_ns a getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }')" = "$2" ]; }

start_proxy a
same "auto chooses systemd-resolved" resolved "$(field a dns.mode status)"
b4=$(address4 a b.i3)
wait_for 5 "our name through systemd-resolved" resolves b.i3 "$b4"
check "the C library resolves our name" resolves b.i3 "$b4"
same "PTR through systemd-resolved" b.i3. "$(in_ns a dig +short +tries=1 -x "$b4")"
same "an unknown name of ours" NXDOMAIN "$(in_ns a dig +tries=1 nobody.i3 | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')"
check "other names go to the resolver that was there" resolves other.example 198.51.100.77
has "our link has the routing domain" "~i3" "$(resolvectl_in a domain i3)"
lacks "our link is not the way for other names" "[+]DefaultRoute" "$(resolvectl_in a status i3)"
lacks "LLMNR and mDNS are off on it" "[+](LLMNR|mDNS)" "$(resolvectl_in a status i3)"
lacks "no redirect rule is made" "redirect|dnat" "$(in_ns a nft list ruleset)"
lacks "no question of ours went out" "query\[.*\.i3 " "$(cat "$WORK/resolver.log")"
kill -9 "$(worker_of a)"
wait_for 5 "the name after the worker's death" resolves b.i3 "$b4"

end proxy-a
same_links() { links > "$WORK/now" && diff "$WORK/before" "$WORK/now"; }
check "after SIGTERM systemd-resolved is as before" same_links
dump_state a "$WORK/state-now"
check "and so is the host" same_state "$WORK/state-before" "$WORK/state-now"
start_proxy a
kill -9 "$(worker_of a)" "${PID[proxy-a]}"
wait_gone "${PID[proxy-a]}" 2 || fail "the parent survived kill -9"
unset "PID[proxy-a]"
wait_for 2 "systemd-resolved to forget the link" same_links
check "after kill -9 of both, too" same_links
check "names outside resolve" resolves other.example 198.51.100.77

write_proxy a know=b policy='<route match="ad[0-9]+\.example" via="drop"/>'
start_proxy a
same "a policy by bare regular expression needs to see every question: auto is redirect then" redirect "$(field a dns.mode status)"
has "and status says why" "." "$(field a dns.reason status)"
same "it is applied" NXDOMAIN "$(in_ns a dig +tries=1 ad7.example | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')"
