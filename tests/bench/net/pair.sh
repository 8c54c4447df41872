# Owns the hosts p and q on one cable, and the node n1 that both know. Sourced after lib.sh.
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
keygen n1 p q
start_node n1
write_proxy p know=q nodes=n1 allow='<allow from="q"/>' shortcuts=yes
write_proxy q know=p nodes=n1 allow='<allow from="p"/>' shortcuts=yes
cable_to=198.51.100.51

answers() { in_ns p ping -c 1 -W 1 "$1" > /dev/null; }
way=direct  # or node, where the settings say shortcuts="no"
path_is() { answers q.i3 && [ "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')" = "$1" ]; }
# Both daemons, until packets go that way.
start_pair() {
  start_proxy p q
  wait_for 20 "a path of the kind '$way'" path_is $way
}
