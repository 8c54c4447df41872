#!/bin/bash
# The network that the other tests stand on, checked with plain programs only.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 60
home_network
make_public p eth0 198.51.100.50/24 2001:db8:1::50/64
make_public v6 eth0 2001:db8:1::60/64
start_nginx p
start_nginx b
start_sshd p
start_vsftpd p
echo "a file" > "$WORK/f"
install -m 444 "$WORK/f" "$WORK/p/ftp/f"

has "a host behind a NAT reaches the internet, from its router's address" "^198.51.100.101$" \
  "$(in_ns a curl -s -m 2 http://198.51.100.50/who)"
refuse "nobody reaches a host behind a NAT" in_ns p curl -s -m 1 http://198.51.100.102/who
refuse "hosts behind two NATs do not see each other" in_ns a curl -s -m 1 http://192.168.2.2/who
same "ssh reaches a public host" hello "$(ssh_from a 198.51.100.50 echo hello)"
same "ftp reaches a public host" "a file" "$(in_ns a curl -s -m 5 ftp://198.51.100.50/f)"
same "a host asks the internet's resolver" 198.51.100.77 "$(in_ns a getent ahostsv4 other.example | awk 'NR==1{print $1}')"
refuse "the IPv6-only host has no IPv4" in_ns v6 ping -c 1 -W 1 198.51.100.11
check "the IPv6-only host reaches nodes by IPv6" in_ns v6 ping -c 1 -W 1 2001:db8:1::11
refuse "names of the overlay are unknown without us" in_ns a getent hosts b.i3
loss ra wan 100
refuse "with all packets lost nothing arrives" in_ns a ping -c 1 -W 1 198.51.100.11
loss ra wan 0
check "and again without loss" in_ns a ping -c 1 -W 1 198.51.100.11
dump_state a "$WORK/one"
in_ns a ip route add 100.64.0.0/10 via 192.168.1.1
dump_state a "$WORK/two"
refuse "a dump shows a route more" same_state "$WORK/one" "$WORK/two"
