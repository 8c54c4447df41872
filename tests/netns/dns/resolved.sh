#!/bin/bash
# A real systemd-resolved on a private system bus: our suffixes reach the stub through it, the
# world does not, `auto` chooses it, and a stopped stub leaves its link as it was.
#   resolved.sh PATH-OF-i3-dns-probe
. "$(dirname "$0")/lib.sh"
I3_TREE=$(cd "$(dirname "$0")/../../.." && pwd)
. "$I3_TREE/tests/apps/resolved.sh"
resolvectl=$(resolvectl_program)
probe=$(realpath "$1")

link_settings() { in_host "$resolvectl" status i3-0 | sed 's/ *$//'; }

make_namespaces
start_dnsmasq far 10.53.1.53 fd53::53
# What stands in for the TUN device: a link with the stub's address.
ip link add i3-0 netns "$host" type veth peer name i3-peer netns "$far"
ip -n "$far" link set i3-peer up
ip -n "$host" addr add 100.64.0.1/10 dev i3-0
ip -n "$host" link set i3-0 up

add_resolved_users "$work/etc"
write_bus_settings "$work/bus.conf"
in_host mkdir -p /run/dbus /run/systemd/resolve
in_host chown systemd-resolve: /run/systemd/resolve
"${host_run[@]}" dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile --nosyslog 2>"$work/dbus.err" &
pids+=($!)
wait_until in_host test -S /run/dbus/system_bus_socket
mkdir -p "$work/etc/systemd"
rm -rf "$work/etc/systemd/resolved.conf.d"
printf '[Resolve]\nDNS=10.53.1.53\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n' >"$work/etc/systemd/resolved.conf"
"${host_run[@]}" "$(resolved_program)" 2>"$work/resolved.err" &
pids+=($!)
wait_until in_host "$resolvectl" status
rm -f "$work/etc/resolv.conf"
ln -s ../run/systemd/resolve/stub-resolv.conf "$work/etc/resolv.conf"
wait_until in_host dig +time=1 +tries=1 @127.0.0.53 www.example
same "before" 192.0.2.80 "$(short www.example)"
link_settings >"$work/before"
in_host nft list ruleset >"$work/rules-before"
: >"$work/dnsmasq.log"

echo "== auto chooses systemd-resolved"
start_probe auto i3-0 100.64.0.1
grep -q 'systemd-resolved sends questions below i3' "$work/probe.err" || fail "another mode was chosen"
in_host nft list ruleset | diff "$work/rules-before" - || fail "a rule was made as well"
same "A of ours" 100.64.0.7 "$(short web.i3)"
same "AAAA of ours" fd13:700:: "$(short web.i3 AAAA)"
same "over TCP" 100.64.0.7 "$(short +tcp web.i3)"
same "a gateway's suffix" 100.64.0.8 "$(short intra.corp.example)"
same "getent" 100.64.0.7 "$(in_host getent ahostsv4 web.i3 | awk 'NR==1{print $1}')"
same "PTR" web.i3. "$(short -x 100.64.0.7)"
same "unknown" NXDOMAIN "$(status_of nobody.i3)"
same "the world" 192.0.2.80 "$(short www.example)"
same "the world's PTR" www.example. "$(short -x 192.0.2.80)"
! grep -E 'query\[[A-Z]*\] [^ ]*(i3|corp\.example|64\.100\.in-addr\.arpa) ' "$work/dnsmasq.log" ||
  fail "a question of ours reached the resolver"
grep -q 'query\[A\] www.example' "$work/dnsmasq.log" || fail "the log of the resolver shows nothing"

echo "== SIGTERM"
kill "$probe_pid"
wait "$probe_pid" || fail "the probe ended with an error"
link_settings | diff "$work/before" - || fail "the link's settings are left"

echo "== a policy must see every query: auto chooses the redirect, and says so"
start_probe auto i3-0 100.64.0.1 every
grep -q 'questions to 127.0.0.53 are redirected' "$work/probe.err" || fail "another mode was chosen"
same "A of ours" 100.64.0.7 "$(short web.i3)"
same "through resolved's own socket" 100.64.0.7 "$(in_host "$resolvectl" query -4 web.i3 | awk 'NR==1{print $2}')"
same "the world" 192.0.2.80 "$(short www.example)"
kill "$probe_pid"
wait "$probe_pid" || fail "the probe ended with an error"
in_host nft list ruleset | diff "$work/rules-before" - || fail "rules are left"
link_settings | diff "$work/before" - || fail "the link's settings are left"

echo "== kill -9, and the link goes as a TUN device would"
start_probe resolved i3-0 100.64.0.1
same "again" 100.64.0.7 "$(short web.i3)"
kill -9 "$probe_pid"
ip -n "$host" link del i3-0
gone() { ! in_host "$resolvectl" domain | grep -q i3; }
wait_until gone
same "the world without us" 192.0.2.80 "$(short www.example)"

echo "all well"
