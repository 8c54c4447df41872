#!/bin/bash
# What netcheck says of IPv6 beside IPv4, and that hosts meet over it: an open address, a router that
# filters by state and forgets soon, addresses that are translated one by one (NAT66) and by prefix
# (NPTv6).
#
#   o  open in both families              f  no IPv4; IPv6 behind a filter that forgets in 7 s
#   t  IPv4 and IPv6 behind one NAT each  p  IPv6 behind a translated prefix
. "$(dirname "$0")/../lib.sh"
begin 120
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
start_ring
# router6 NAME NUMBER INSIDE/64: routes that prefix, and lets in what answers.
router6() {
  make_public "r$1" wan "198.51.100.$((100 + $2))/24" "2001:db8:1::$((100 + $2))/64"
  in_ns "r$1" sh -c 'for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$f; done'
  new_host "$1" 198.51.100.1
  cable "$1" eth0 "r$1" lan
  addresses "r$1" lan "192.168.$2.1/24" "$3::1/64"
  addresses "$1" eth0 "$3::2/64"
  in_ns "$1" ip -6 route add default via "$3::1"
}
rules6() {
  in_ns "r$1" nft -f - <<EOR || fail "rules of r$1"
table inet edge {
  chain forward { type filter hook forward priority filter; policy $2;
    ct state established,related accept; iifname "lan" accept; }
  chain input { type filter hook input priority filter; policy drop;
    ct state established,related accept; iifname { "lo", "lan" } accept; meta l4proto ipv6-icmp accept; }
}
table ip nat { chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }; }
$3
EOR
}
with_ipv4() {
  addresses "$1" eth0 "192.168.$2.2/24"
  in_ns "$1" ip route add default via "192.168.$2.1"
}
route_back() { for n in n1 n2 n3 o; do in_ns $n ip -6 route add "$1" via "$2"; done; }
make_public o eth0 198.51.100.50/24 2001:db8:1::50/64
router6 f 1 2001:db8:f
rules6 f drop ""
in_ns rf sh -c 'cd /proc/sys/net/netfilter && echo 7 > nf_conntrack_udp_timeout && echo 7 > nf_conntrack_udp_timeout_stream' ||
  fail "the filter cannot be made to forget"
route_back 2001:db8:f::/64 2001:db8:1::101
router6 t 2 fd00:7
with_ipv4 t 2
rules6 t drop 'table ip6 nat { chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }; }'
router6 p 3 fd00:9
with_ipv4 p 3
rules6 p accept 'table ip6 nat {
  chain pre { type nat hook prerouting priority dstnat; iifname "wan" ip6 daddr 2001:db8:9::/64 dnat ip6 prefix to ip6 daddr map { 2001:db8:9::/64 : fd00:9::/64 }; }
  chain post { type nat hook postrouting priority srcnat; oifname "wan" ip6 saddr fd00:9::/64 snat ip6 prefix to ip6 saddr map { fd00:9::/64 : 2001:db8:9::/64 }; }
}'
route_back 2001:db8:9::/64 2001:db8:1::103
keygen o f t p
write_proxy o family=both know="f t p" intercept=none
for host in f t p; do write_proxy $host family=both know=o intercept=none allow='<allow from="o"/>'; done
start_proxy o f t p

# is HOST FAMILY NAME MAPPING FILTERING TRANSLATED
is() {
  local found
  found=$(jq -c ".nat.$2" "$WORK/$1.json")
  same "$1 over $2: $3" "$3 $4 $5" "$(jq -r '[.name, .mapping, .filtering] | join(" ")' <<< "$found")"
}
for host in o t p f; do
  ctl $host --json netcheck > "$WORK/$host.json" || fail "netcheck of $host"
done
ei=endpoint-independent apd=address-and-port-dependent
is o ipv4 none $ei $ei
is o ipv6 none $ei $ei
is f ipv6 firewall $ei $apd
same "f has no IPv4" null "$(jq .nat.ipv4 "$WORK/f.json")"
same "so what is said without a family is of IPv6" firewall "$(jq -r .nat.name "$WORK/f.json")"
same "the filter translates nothing" none "$(jq -r .nat.ipv6.kind "$WORK/f.json")"
is t ipv4 port-restricted $ei $apd
is t ipv6 port-restricted $ei $apd
has "nodes see t at its router's address" '^\[2001:db8:1::102\]:' "$(jq -r .nat.ipv6.observed "$WORK/t.json")"
is p ipv4 port-restricted $ei $apd
is p ipv6 full-cone $ei $ei
has "nodes see p under the other prefix" '^\[2001:db8:9::2\]:' "$(jq -r .nat.ipv6.observed "$WORK/p.json")"
same "what is said without a family is of IPv4" port-restricted "$(jq -r .nat.name "$WORK/p.json")"
has "netcheck for people" "IPv6: +firewall, seen as \[2001:db8:f::2\]" "$(ctl f netcheck)"

straight() { in_ns o ping -c 1 -W 1 "$(address4 o "$1")" > /dev/null; [ "$(ctl o --json peers | jq -r --arg n "$1" '.peers[] | select(.name == $n) | .path')" = direct ]; }
for host in f t p; do wait_for 20 "the straight way from o to $host" straight $host; check "o reaches $host straight" straight $host; done

# The filter forgets what was silent for 7 s: bindings are used more often than that.
short() { [ "$(field f nat.binding_ends_s status)" = 10 ]; }
wait_for 40 "the length of a binding to be known" short
within "f keeps its bindings open, every so many seconds" 2 6 "$(field f nat.keep_alive_s status)"
sleep 10
check "after ten seconds of silence f is reached at once" in_ns o ping -c 1 -W 1 "$(address4 o f)"
same "and straight" direct "$(ctl o --json peers | jq -r '.peers[] | select(.name == "f") | .path')"
