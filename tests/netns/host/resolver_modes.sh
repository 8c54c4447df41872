#!/bin/bash
# The ways to get between programs and the resolver that a host's owner may ask for by name.
. "$(dirname "$0")/../lib.sh"
begin 110
home_network
start_ring
keygen a b
resolves() { [ "$(in_ns a getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }')" = "$2" ]; }
conf=$WORK/a/etc/resolv.conf
original=$(cat "$conf")

write_proxy a know=b intercept=auto
start_proxy a
same "auto without systemd-resolved is redirect" redirect "$(field a dns.mode status)"
check "redirect: our name" resolves b.i3 "$(address4 a b.i3)"
same "redirect does not touch resolv.conf" "$original" "$(cat "$conf")"
printf 'nameserver 198.51.100.200\nnameserver 198.51.100.1\noptions timeout:1\n' > "$conf"
wait_for 10 "a change of resolv.conf that the owner made" resolves other.example 198.51.100.77
printf '%s\n' "$original" > "$conf"
end proxy-a

write_proxy a know=b intercept=resolv.conf
start_proxy a
same "resolv.conf is edited when asked for" resolv.conf "$(field a dns.mode status)"
refuse "it is another file now" test "$original" = "$(cat "$conf")"
check "resolv.conf: our name" resolves b.i3 "$(address4 a b.i3)"
check "resolv.conf: others by the resolver that was there" resolves other.example 198.51.100.77
kill -9 "$(worker_of a)"
wait_for 5 "the name after the worker's death" resolves b.i3 "$(address4 a b.i3)"
end proxy-a
same "resolv.conf: put back by SIGTERM" "$original" "$(cat "$conf")"
start_proxy a
kill -9 "$(worker_of a)" "${PID[proxy-a]}"
wait_gone "${PID[proxy-a]}" 2 || fail "the parent survived kill -9"
unset "PID[proxy-a]"
check "resolv.conf: --cleanup puts it back after both were killed" in_ns a "$I3_BIN/i3-proxy" --cleanup --config "$WORK/a/proxy.xml"
same "resolv.conf: as before" "$original" "$(cat "$conf")"

write_proxy a know=b intercept=none
start_proxy a
same "none: names are not intercepted" none "$(field a dns.mode status)"
refuse "none: programs do not resolve our names" in_ns a getent hosts b.i3
has "none: i3-ctl does" "^100\." "$(address4 a b.i3)"
lacks "none: no rule is made" "redirect|dnat" "$(in_ns a nft list ruleset)"
end proxy-a
same "resolv.conf at the end" "$original" "$(cat "$conf")"
