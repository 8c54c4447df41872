#!/bin/bash
# The zone on one machine, the waypoints on another: web names need nothing of the first, other ports what it
# says inside the session of the two.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/waypoint_lib.sh"
begin 90
make_internet
start_zone_resolver 198.51.100.50
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
keygen n1 shop files d g
start_node n1
make_public d eth0 198.51.100.50/24
make_public g eth0 198.51.100.60/24 198.51.100.61/24 198.51.100.62/24
make_public x eth0 198.51.100.70/24
number=2
for host in shop files; do
  make_host "$host" $((number++))
  write_proxy "$host" know=g nodes=n1 intercept=none allow='<allow from="g"/>'
done
places='waypoints4="198.51.100.61-198.51.100.62"'
write_waypoint_gateway d "<ip-to-i3 zone=\"$ZONE\" listen=\"198.51.100.50:53\" $places waypoints-at=\"g\"/>" shop files g
write_waypoint_gateway g "<ip-to-i3 zone=\"$ZONE\" $places dns-at=\"d\"/>" shop files d
start_gateway g
start_gateway d
start_proxy shop files
for host in shop files; do
  start_site "$host"
  start_sshd "$host"
done
said_and_bound() {
  in_ns x dig +short "$1.$ZONE" A > /dev/null
  [ "$(ssh_from x -4 "$1.$ZONE" hostname 2>&1)" = "$1" ]
}
wait_for 15 "the session of the two machines" said_and_bound shop
check "ssh to another name" said_and_bound files
same "the same again" shop "$(ssh_from x -4 "shop.$ZONE" hostname 2>&1)"
has "the web" "this is files" "$(in_ns x curl -s -m 10 "http://files.$ZONE/")"
has "and without asking" "this is shop" "$(at 198.51.100.62 x "http://shop.$ZONE/")"
has "the machine with the waypoints took the notes" '^[1-9]' "$(visitor_event g notes_taken)"
same "the one with the zone has no door" 7 \
  "$(in_ns x curl -s -m 3 -o /dev/null http://198.51.100.50/; echo $?)"
