#!/bin/bash
# What i3-ctl says of ways: netcheck, trace, ping and peers, between hosts that talk straight and hosts
# that cannot; a straight way that dies and comes back, under a download that notices nothing.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/nat/lib.sh"
begin 240
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
nat_host a 1 symmetric
nat_host b 2 port-restricted
nat_host c 3 full-cone
start_ring
keygen a b c absent
write_proxy a know="b c absent"
write_proxy b know=a allow='<allow from="a"/>'
write_proxy c know=a allow='<allow from="a"/>'
start_proxy a b c
start_nginx c

has "netcheck names the NAT" "symmetric" "$(ctl a netcheck)"
nat=$(ctl c --json netcheck)
has "netcheck tells mapping and filtering" '"filtering":"endpoint-independent".*"mapping":"endpoint-independent"' "$(jq -cS .nat <<< "$nat")"
same "UDP works" true "$(jq .udp <<< "$nat")"
same "all nodes have a round trip" 3 "$(jq '[.nodes[] | select(.rtt_ms > 0)] | length' <<< "$nat")"
same "status says it as well" full-cone "$(field c nat.name status)"

straight() { in_ns a ping -c 1 -W 1 "$1.i3" > /dev/null; [ "$(path_to a "$1")" = direct ]; }
wait_for 20 "the straight path to c" straight c
check "b is reached" in_ns a ping -c 2 -W 2 b.i3
same "the symmetric NAT and the port-restricted one meet through a node" node "$(path_to a b)"
has "peers says why" "none of .* addresses answers straight so far; the NAT here is symmetric" \
  "$(ctl a --json peers | jq -r '.peers[] | select(.name == "b") | .reason')"
ping=$(ctl a --json ping b -c 2)
same "ping by a node: all came back" 2 "$(jq .received <<< "$ping")"
has "ping names the ways that failed" "failed no answer to [0-9]+ challenges" \
  "$(jq -r '.paths[] | select(.path == "direct") | .state + " " + .reason' <<< "$ping")"
has "and the one that works" "node 198.51.100.1[123]:5100" \
  "$(jq -r '.paths[] | select(.state == "works") | .path + " " + .via' <<< "$ping")"
has "ping by the straight way" "direct 198.51.100.103:[0-9]+" \
  "$(ctl a --json ping c -c 1 | jq -r '.paths[] | select(.state == "works") | .path + " " + .via')"

trace=$(ctl a --json trace b)
same "trace ends the nodes at the owner, and then names who relays and the peer" "owner relay peer" \
  "$(jq -r '[.hops[].role] | .[-3:] | join(" ")' <<< "$trace")"
same "the trigger is there" true "$(jq .present <<< "$trace")"
same "each node answered" 0 "$(jq '[.hops[] | select(.role != "relay" and .role != "peer" and .rtt_ms == null)] | length' <<< "$trace")"
owner=$(jq -r '.hops[] | select(.role == "owner") | .address' <<< "$trace")
holds=$(for n in 1 2 3; do ctl_node n$n triggers | jq -r --arg id "$(jq -r .id <<< "$trace")" \
  ".triggers[] | select(.id == \$id) | \"198.51.100.1$n:5100\""; done)
has "the owner is one that holds it" "$owner" "$holds"
same "trace of somebody who was never there" false "$(ctl a --json trace absent | jq .present)"
has "trace for people" "owner" "$(ctl a trace b)"

# The straight way dies: nothing passes between the two routers, but everything to the nodes.
sum=$(big_file c file 60)
spawn load a sh -c "curl -sS --limit-rate 3M -m 100 http://c.i3/file | sha256sum | cut -d' ' -f1 > $WORK/sum"
cut() {
  in_ns rc nft add table inet cut
  in_ns rc nft add chain inet cut c '{ type filter hook prerouting priority -400; }'
  in_ns rc nft add rule inet cut c ip saddr 198.51.100.101 drop
}
sleep 1
check "the straight way is cut" cut
by_node() { [ "$(path_to a c)" = node ]; }
wait_for 10 "the path to be a node's" by_node
check "it is a node's" by_node
in_ns rc nft delete table inet cut
wait_for 60 "the straight path again" straight c
wait_for 60 "the download" ended load
unset "PID[load]"
same "the download went on over both changes" "$sum" "$(cat "$WORK/sum")"
