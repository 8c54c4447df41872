#!/bin/bash
# The nftables redirect with a real resolver, dig and getent: names of ours and of the world, and
# nothing left when the process is killed.
#   redirect.sh PATH-OF-i3-dns-probe
. "$(dirname "$0")/lib.sh"
probe=$(realpath "$1")

names_resolve() { # what must hold whichever server is configured
  same "A of ours" 100.64.0.7 "$(short web.i3)"
  same "AAAA of ours" fd13:700:: "$(short web.i3 AAAA)"
  same "A over TCP" 100.64.0.7 "$(short +tcp web.i3)"
  same "TTL" 0 "$(in_host dig +noall +answer web.i3 | awk '{print $2}')"
  same "getent" 100.64.0.7 "$(in_host getent ahostsv4 web.i3 | awk 'NR==1{print $1}')"
  same "getent by address" web.i3 "$(in_host getent hosts 100.64.0.7 | awk '{print $2}')"
  same "PTR" web.i3. "$(short -x 100.64.0.7)"
  same "PTR of IPv6" web.i3. "$(short -x fd13:700::)"
  same "PTR of nobody" NXDOMAIN "$(status_of -x 100.64.0.99)"
  same "letter case" wEb.I3. "$(in_host dig +noall +answer wEb.I3 | awk '{print $1}')"
  same "other type" NOERROR "$(status_of web.i3 MX)"
  same "ANY" NOERROR "$(status_of web.i3 ANY)"
  same "SOA minimum" 0 "$(in_host dig +noall +authority web.i3 MX | awk '{print $NF}')"
  same "unknown" NXDOMAIN "$(status_of nobody.i3)"
  same "canary" NXDOMAIN "$(status_of use-application-dns.net)"
  same "EDNS version" BADVERS "$(status_of +edns=5 +noednsnegotiation web.i3)"

  same "A of the world" 192.0.2.80 "$(short www.example)"
  same "AAAA of the world" 2001:db8::80 "$(short www.example AAAA)"
  same "over TCP" 192.0.2.80 "$(short +tcp www.example)"
  same "getent of the world" 192.0.2.80 "$(in_host getent ahostsv4 www.example | awk 'NR==1{print $1}')"
  same "PTR of the world" www.example. "$(short -x 192.0.2.80)"
  same "case of the world" wWw.eXample. "$(in_host dig +noall +answer wWw.eXample | awk '{print $1}')"
  same "big over EDNS" 40 "$(in_host dig +notcp +ignore +bufsize=4096 +short big.example TXT | grep -c record)"
  same "truncated" 1 "$(in_host dig +notcp +ignore +noedns big.example TXT | grep -c 'flags:.* tc')"
  same "big over TCP" 40 "$(short +tcp big.example TXT | grep -c record)"
  same "many on one connection" "100.64.0.7 192.0.2.80 100.64.0.8 192.0.2.80" \
    "$(in_host dig +short +tcp +keepopen web.i3 www.example intra.corp.example www.example | xargs)"
}

nothing_of_ours_went_out() {
  ! grep -E 'query\[[A-Z]*\] [^ ]*(i3|64\.100\.in-addr\.arpa|use-application-dns\.net) ' \
    "$work/dnsmasq.log" || fail "a question of ours reached the resolver"
}

make_namespaces
start_dnsmasq far 10.53.1.53 fd53::53
in_host nft list ruleset >"$work/before"
in_host ss -Hlun >"$work/sockets-before"

echo "== a resolver on another machine"
same "before" NXDOMAIN "$(status_of web.i3 | sed 's/REFUSED/NXDOMAIN/')"
: >"$work/dnsmasq.log"
start_probe redirect
names_resolve
nothing_of_ours_went_out
grep -q 'query\[A\] www.example' "$work/dnsmasq.log" || fail "the log of the resolver shows nothing"

echo "== an explicit other server is left alone"
in_far ip addr add 10.53.1.54/24 dev dns0
same "explicit server" "" "$(short +time=1 @10.53.1.54 web.i3 | grep -v '^;' || true)"

echo "== the user changes resolv.conf"
redirected() { grep "questions to" "$work/probe.err" | tail -n 1 | grep -q "questions to $1 are"; }
change_resolv_conf fd53::53
wait_until redirected fd53::53
names_resolve
same "the former server is left alone" "" "$(short @10.53.1.53 web.i3 | grep -v '^;' || true)"
replace_resolv_conf 10.53.1.53
wait_until redirected 10.53.1.53
same "after a replacement" 100.64.0.7 "$(short web.i3)"

echo "== another instance with the same table"
! in_host "$probe" redirect >"$work/second.out" 2>&1 || fail "a second instance started"

echo "== kill -9"
kill -9 "$probe_pid"
wait_gone() { ! kill -0 "$probe_pid"; }
wait_until wait_gone
in_host nft list ruleset | diff "$work/before" - || fail "rules are left"
same "the world without us" 192.0.2.80 "$(short www.example)"

echo "== SIGTERM"
start_probe redirect
same "again" 100.64.0.7 "$(short web.i3)"
kill "$probe_pid"
wait "$probe_pid" || fail "the probe ended with an error"
in_host nft list ruleset | diff "$work/before" - || fail "rules are left"
in_host ss -Hlun | diff "$work/sockets-before" - || fail "sockets are left"

echo "== a resolver on loopback, as 127.0.0.53"
change_resolv_conf 127.0.0.53
start_dnsmasq host 127.0.0.53
: >"$work/dnsmasq.log"
start_probe redirect
names_resolve
nothing_of_ours_went_out

echo "all well"
