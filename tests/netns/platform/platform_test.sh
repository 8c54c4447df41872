#!/bin/bash
# The parent process and its worker on a real kernel, in one namespace:
#
#   platform_probe (parent: TUN, routes, sockets) --fork, exec--> worker (nobody, no capability)
#
# usage: platform_test.sh PROBE
set -u
probe=$1
ns=i3t$$-p
dir=$(mktemp -d /tmp/i3t-platform-XXXXXX)
chmod 755 "$dir"
cp "$probe" "$dir/probe" && chmod 755 "$dir/probe"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
failures=0
parent=

cleanup() {
  [ -n "$parent" ] && kill -9 "$parent" 2>/dev/null
  [ -n "${squatter:-}" ] && kill "$squatter" 2>/dev/null
  ip netns del "$ns" 2>/dev/null
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ip netns add "$ns" || exit 1
in_ns() { ip netns exec "$ns" "$@"; }
in_ns ip link set lo up
in_ns ip link add real0 type veth peer name real1
in_ns ip link set real1 up
in_ns ip addr add 192.168.7.2/24 dev real0
in_ns ip -6 addr add 2001:db8:7::2/64 dev real0 nodad
in_ns ip link set real0 up
in_ns ip route add default via 192.168.7.1

pass() { echo "ok - $1"; }
fail() { echo "NOT OK - $1"; failures=$((failures + 1)); tail -5 "$dir/log" | sed 's/^/    | /'; }
check() { local what=$1; shift; if "$@" >"$dir/out" 2>&1; then pass "$what"; else fail "$what"; sed 's/^/    > /' "$dir/out"; fi; }
refuse() { local what=$1; shift; if "$@" >"$dir/out" 2>&1; then fail "$what"; else pass "$what"; fi; }
# until_true TENTHS COMMAND...: waits for a condition
until_true() {
  local left=$1; shift
  while ! "$@" >/dev/null 2>&1; do
    left=$((left - 1)); [ $left -le 0 ] && return 1
    sleep 0.1
  done
}
say() { echo "$1" | timeout 5 socat -t 4 - "UNIX-CONNECT:$dir/run/probe.sock"; }
says() { local answer; answer=$(say "$1"); echo "$1 -> $answer"; [[ $answer == $2 ]]; }
dump() {
  in_ns ip -o link | sed 's/ qlen.*//'
  in_ns ip -o addr | sed 's/valid_lft.*//'
  in_ns ip route show table all; in_ns ip -6 route show table all
  in_ns ip rule; in_ns nft list ruleset
}
args=(--tun i3 --ipv4 100.64.5.6/10 --ipv6 fd00:1:2::6/48 --stub4 100.64.0.53 --loopback
      --udp "[::]:5100" --control "$dir/run/probe.sock" --state "$dir/lib/state"
      --config "$dir/config" --hang-after 1500 --file "$dir/readable" --replaceable "$dir/book")
start() {
  ip netns exec "$ns" "$dir/probe" "${args[@]}" "$@" >>"$dir/log" 2>&1 &
  parent=$!
  until_true 50 says hello 'hello *'
}
worker() { say hello | sed -n 's/.*pid=\([0-9]*\).*/\1/p'; }
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status"; }
exits() { # exits CODE TEXT COMMAND...: in the namespace ends with the code and says the text
  local code=$1 text=$2; shift 2
  timeout 10 ip netns exec "$ns" "$@" >"$dir/said" 2>&1; local got=$?
  echo "exit $got"; cat "$dir/said"
  [ $got -eq "$code" ] && grep -q -- "$text" "$dir/said"
}
tun_index() { in_ns cat /sys/class/net/i3/ifindex; }

: >"$dir/log"
echo secret >"$dir/secret"; chmod 600 "$dir/secret"
echo hello-file >"$dir/readable"; chmod 600 "$dir/readable"
echo "# nothing yet" >"$dir/config"
echo old >"$dir/book"; chmod 640 "$dir/book"
until_true 50 eval '! in_ns ip -6 addr | grep -q tentative' || exit 1
before=$(dump)

echo "# a running parent and worker"
check "the worker starts and answers on the control socket" start
check "the TUN has its IPv4 address" grep -q 'inet 100.64.5.6/32' <(in_ns ip addr show dev i3)
check "the TUN has its IPv6 address, ready at once" \
  bash -c "! grep -q tentative <(ip -n $ns -6 addr show dev i3) && grep -q fd00:1:2::6/128 <(ip -n $ns -6 addr show dev i3)"
refuse "the TUN has no address that nobody asked for" grep -q fe80 <(in_ns ip addr show dev i3)
check "the pool's route leaves with the announced address" \
  grep -q 'src 100.64.5.6' <(in_ns ip route get 100.64.9.9)
check "the IPv6 pool's route leaves with the announced address" \
  grep -q 'src fd00:1:2::6' <(in_ns ip route get fd00:1:2::99)
check "a ping to a virtual IPv4 address is answered by the worker" in_ns ping -c1 -W2 100.64.9.9
check "a ping to a virtual IPv6 address is answered by the worker" in_ns ping -6 -c1 -W2 fd00:1:2::99
check "the worker has its sockets" says sockets '*:5100 stub=100.64.0.53:53 loopback=127.0.0.1:* loopback=*::1*:* state'
check "the key's seed reaches the worker" says hello '*seed=42*'

echo "# privileges"
w=$(worker)
check "the worker's five capability sets are empty" \
  [ "$(grep -c '^Cap[A-Za-z]*:.0000000000000000$' "/proc/$w/status")" = 5 ]
check "the worker is not root" bash -c "! grep -qE '^[UG]id:.*\b0\b' /proc/$w/status"
check "the worker has no supplementary groups" grep -qE '^Groups:\s*$' "/proc/$w/status"
check "the worker cannot gain privileges" grep -qE '^NoNewPrivs:\s*1$' "/proc/$w/status"
check "the worker is a child of the parent" grep -qE "^PPid:\s*$parent$" "/proc/$w/status"
check "the worker cannot open a file of root by itself" says "open $dir/readable" denied

echo "# what the broker does and refuses"
check "a file on the list is read" says "read $dir/readable" 'ok hello-file'
check "a file on the list is read by a call that waits" says "read-now $dir/readable" 'ok hello-file'
check "a file off the list is refused" says "read $dir/secret" 'refused *'
check "another name for a file off the list is refused" says "read $dir/../$(basename "$dir")/readable" 'refused *'
check "a replaceable file is replaced" says "replace $dir/book new text" 'ok '
check "its text is the new one" [ "$(cat "$dir/book")" = "new text" ]
check "its mode stays" [ "$(stat -c %a "$dir/book")" = 640 ]
check "a file that is only readable is not replaced" says "replace $dir/readable x" 'refused *'
check "a file off the list is not replaced" says "replace $dir/secret x" 'refused *'
check "neither changed" [ "$(cat "$dir/readable" "$dir/secret" | xargs)" = "hello-file secret" ]
check "a configuration that names another file is not replaced" says "replace $dir/config $dir/secret" 'refused *another file'
check "one that does not is" says "replace $dir/config # still nothing" 'ok *'
check "reading the settings again changes nothing then" says refresh 'ok *'
check "and the file stays closed" says "read $dir/secret" 'refused *'
echo "$dir/secret" >"$dir/config"
check "a file that the operator's settings name is refused before they are read again" says "read $dir/secret" 'refused *'
check "they are read again" says refresh 'ok *'
check "the file is open now" says "read $dir/secret" 'ok secret'
check "a single private address is routed" says "route 10.9.8.7/32" 'ok *'
check "and answers" in_ns ping -c1 -W2 10.9.8.7
check "with the announced address" grep -q 'src 100.64.5.6' <(in_ns ip route get 10.9.8.7)
check "twice is fine" says "route 10.9.8.7/32" 'ok *'
check "a network is not routed" says "route 10.9.0.0/16" 'refused *'
check "a public address is not routed" says "route 8.8.8.8/32" 'refused *'
check "the host's own network is not drawn away" says "route 192.168.7.1/32" 'refused *'
check "the route is removed again" says "unroute 10.9.8.7/32" 'ok *'
check "somebody else's route is not removed" says "unroute 192.168.7.0/24" 'refused *'
check "the MTU changes" says "mtu 1380" 'ok *'
check "on the interface" [ "$(in_ns cat /sys/class/net/i3/mtu)" = 1380 ]
check "an MTU below IPv6's least is refused" says "mtu 1279" 'refused *'
check "an upstream socket bears the mark" says mark marked
check "the state file is opened again" says state 'ok *'
check "resolv.conf is not edited unasked" says "place resolv.conf" 'refused *'
check "the control socket is for root only where its group is missing" \
  [ "$(stat -c %a "$dir/run/probe.sock")" = 600 ]
kill -HUP "$parent"
check "SIGHUP reaches the worker as a reload" until_true 20 says hello '*reloads=1*'

check "the worker sees the underlay without a privilege" \
  says underlay '*link=real0*address=192.168.7.2*via=192.168.7.1*'
check "nothing changes" until_true 20 says underlay 'unchanged*'
in_ns ip addr add 192.168.8.2/24 dev real0
check "it is told of a change" until_true 20 says underlay 'changed*address=192.168.8.2*'
in_ns ip addr del 192.168.8.2/24 dev real0

echo "# the worker dies"
check "a peer's route before" says "route 10.9.8.7/32" 'ok *'
index=$(tun_index)
kill -9 "$w"
check "ping works again within 2 s" until_true 20 in_ns ping -c1 -W1 100.64.9.9
check "through the same interface" [ "$(tun_index)" = "$index" ]
check "with the next worker, which learns the routes" until_true 20 says hello '*incarnation=1*routes= 10.9.8.7/32*'
check "the UDP port is still ours" grep -q 5100 <(in_ns ss -lun)
w=$(worker)
say garbage >/dev/null
check "a worker that talks nonsense is replaced" until_true 20 says hello '*incarnation=2*'
check "the nonsensical one is gone" gone "$w"
say "exit 7" >/dev/null
check "a worker that exits is replaced" until_true 20 says hello '*incarnation=3*'
w=$(worker); kill -STOP "$w"
check "one that hangs is replaced" until_true 50 says hello '*incarnation=4*'
check "and killed" gone "$w"
for n in 5 6 7 8; do
  kill -9 "$(worker)"
  until_true 30 says hello "*incarnation=$n*"
done
kill -9 "$(worker)"
check "after five quick deaths it waits, and goes on" until_true 60 says hello '*incarnation=9*'
check "and says so" grep -q worker_keeps_dying "$dir/log"

echo "# a second one"
check "a second instance says that another one is running, exit 1" \
  exits 1 "another platform_probe is running" "$dir/probe" "${args[@]}"
check "clean-up leaves a running one alone" exits 1 still_running "$dir/probe" --cleanup --control "$dir/run/probe.sock"
check "a taken TUN name is said" exits 1 "interface i3 exists already" \
  "$dir/probe" --tun i3 --ipv4 100.64.5.7/10
check "a taken pool is said" exits 1 "pool 100.64.0.0/10 collides with .* dev i3: choose another in <virtual-addresses>" \
  "$dir/probe" --tun i4 --ipv4 100.64.5.7/10
check "a taken UDP port is said" exits 1 "UDP port 5100 .* is taken" \
  "$dir/probe" --tun i4 --udp "0.0.0.0:5100"

echo "# SIGTERM"
w=$(worker)
began=$(date +%s%N)
kill -TERM "$parent"; wait "$parent"; code=$?
took=$((($(date +%s%N) - began) / 1000000))
check "exit 0" [ $code -eq 0 ]
check "within 5 s ($took ms)" [ $took -lt 5000 ]
check "the worker is gone" gone "$w"
check "links, addresses, routes, rules and nftables are as before" diff <(echo "$before") <(dump)
refuse "the control socket is gone" test -e "$dir/run/probe.sock"

echo "# the parent is killed"
check "it starts again" start
check "DNS is redirected" says "place redirect" 'ok redirect*'
check "by nftables" grep -q redirect <(in_ns nft list ruleset)
kill -9 "$(worker)"
check "asking again is fine" says "place redirect" 'ok redirect*'
check "the redirect outlives a worker" until_true 20 says hello '*incarnation=1*'
check "it does" grep -q redirect <(in_ns nft list ruleset)
w=$(worker)
kill -9 "$parent"; wait "$parent" 2>/dev/null
check "the worker is gone" until_true 20 gone "$w"
check "links, addresses, routes, rules and nftables are as before" diff <(echo "$before") <(dump)
check "clean-up removes the socket" exits 0 removed "$dir/probe" --cleanup --control "$dir/run/probe.sock"

echo "# ctrl-C"
check "it starts again" start
w=$(worker)
check "DNS is redirected" says "place redirect" 'ok redirect*'
kill -INT "$w"
check "the worker ignores the terminal's ctrl-C" says hello '*incarnation=0*'
kill -INT "$parent"; kill -INT "$parent"; wait "$parent"; code=$?
check "twice is harmless: exit 0" [ $code -eq 0 ]
check "everything is as before" diff <(echo "$before") <(dump)
parent=

echo "# what stands in the way"
check "a first worker that says what is wrong ends the parent with its code" exits 2 worker_died \
  "$dir/probe" --tun i3 --ipv4 100.64.5.6/10 --fail-worker 2
check "and nothing stays" diff <(echo "$before") <(dump)
check "without privilege: exit 3, naming the capability" exits 3 CAP_NET_ADMIN \
  setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
check "root without it: exit 3, naming the capability" exits 3 CAP_NET_ADMIN \
  setpriv --bounding-set -net_admin --inh-caps -net_admin "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
check "root that cannot leave root: exit 3, naming the capability" exits 3 CAP_SETUID \
  setpriv --bounding-set -setuid --inh-caps -setuid "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
in_ns ip link add tailscale0 type veth peer name far0; in_ns ip link set tailscale0 up
in_ns ip route add 100.64.0.0/10 dev tailscale0
check "a colliding route is said" \
  exits 1 "pool 100.64.0.0/10 collides with route 100.64.0.0/10 dev tailscale0: choose another in <virtual-addresses>" \
  "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
in_ns ip route del 100.64.0.0/10 dev tailscale0
check "Tailscale without a route in the way is said" exits 1 "Tailscale" \
  "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
check "another pool is found" exits 0 "^10.64.0.0/10$" "$dir/probe" --pools 100.64.0.0/10 192.168.0.0/16 10.64.0.0/10
in_ns ip link del tailscale0
in_ns ip addr add 100.70.1.1/32 dev real0
check "a carrier's address inside the pool is said" exits 1 "address 100.70.1.1 dev real0" \
  "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
in_ns ip addr del 100.70.1.1/32 dev real0
in_ns sysctl -qw net.ipv6.conf.default.disable_ipv6=1
check "a host that disables IPv6 by default still has it on the TUN" start
check "and answers" in_ns ping -6 -c1 -W2 fd00:1:2::99
kill -TERM "$parent"; wait "$parent"; parent=
in_ns sysctl -qw net.ipv6.conf.default.disable_ipv6=0
check "everything is as before" diff <(echo "$before") <(dump)

in_ns nft add table ip filter
in_ns nft add chain ip filter ts-input
check "Tailscale's filter without its interface is said" exits 1 "Tailscale's packet filter" \
  "$dir/probe" --tun i3 --ipv4 100.64.5.6/10
in_ns nft delete table ip filter
in_ns nft add table inet guard
in_ns nft "add chain inet guard input { type filter hook input priority 0; policy accept; }"
check "an accepting firewall is none" exits 0 "^none$" "$dir/probe" --firewalls
in_ns nft "add chain inet guard input { type filter hook input priority 0; policy drop; }"
check "a dropping firewall is named" exits 0 "^table inet guard, chain input$" "$dir/probe" --firewalls
in_ns nft delete table inet guard

echo "# $failures failures"
exit $((failures > 0))
