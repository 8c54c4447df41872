#!/bin/bash
# A host that has only IPv4 and a host that has only IPv6 talk through nodes that have both.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 110
home_network
make_public v6 eth0 2001:db8:1::60/64
printf 'nameserver 2001:db8:1::1\n' > "$WORK/v6/etc/resolv.conf"
start_ring
keygen a v6
write_proxy a know=v6 allow='<allow from="v6"/>'
write_proxy v6 know=a allow='<allow from="a"/>' family=6
start_proxy a v6
start_nginx a
start_nginx v6
refuse "a has no way to IPv6" in_ns a ping -6 -c 1 -W 1 2001:db8:1::60
refuse "v6 has no way to IPv4" in_ns v6 ping -4 -c 1 -W 1 198.51.100.11
sum=$(big_file v6 file 10)
big_file a file 10 > "$WORK/sum"
for family in 4 6; do
  same "the IPv4-only host fetches over virtual IPv$family" "$sum" \
    "$(in_ns a curl "-$family" -sS -m 30 http://v6.i3/file | sha256sum | cut -d' ' -f1)"
  same "the IPv6-only host fetches over virtual IPv$family" "$(cat "$WORK/sum")" \
    "$(in_ns v6 curl "-$family" -sS -m 30 http://a.i3/file | sha256sum | cut -d' ' -f1)"
done
check "ping from IPv4 to IPv6" in_ns a ping -c 2 -i 0.2 -W 2 v6.i3
check "ping from IPv6 to IPv4" in_ns v6 ping -c 2 -i 0.2 -W 2 a.i3
same "the path is through a node" node "$(ctl a --json peers | jq -r '.peers[] | select(.name == "v6") | .path')"
same "the resolver by IPv6 is asked for other names" 198.51.100.77 \
  "$(in_ns v6 getent ahostsv4 other.example | awk 'NR == 1 { print $1 }')"
