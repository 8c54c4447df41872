#!/bin/bash
# An underlay of 1280 bytes that lets larger packets vanish without a word: programs are told what
# arrives, downloads go through, and IPv6's least packet does.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 110
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
keygen n1 p q
start_node n1
start_nginx q

for host in p q; do
  # Real frames on this cable, as the hook counts bytes of what comes.
  in_ns $host ethtool -K eth0 tso off gso off tx-udp-segmentation off gro off > "$WORK/ethtool.log" 2>&1
  in_ns $host nft -f - <<'RULES' || fail "no hook on $host"
table netdev small {
  counter vanished { }
  chain in { type filter hook ingress device "eth0" priority 0; udp length > 1260 counter name "vanished" drop; }
}
RULES
done
vanished() { in_ns "$1" nft -j list counter netdev small vanished | jq '.nftables[] | .counter? // empty | .packets'; }
through() { in_ns p ping -c 1 -W 1 q.i3; [ "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')" = "$1" ]; }

for way in node direct; do
  shortcuts=no
  [ $way = direct ] && shortcuts=yes
  write_proxy p know=q nodes=n1 allow='<allow from="q"/>' shortcuts=$shortcuts
  write_proxy q know=p nodes=n1 allow='<allow from="p"/>' shortcuts=$shortcuts
  start_proxy p q
  wait_for 20 "a path of the kind '$way'" through $way
  sum=$(big_file q file 1)
  same "a download arrives, $way" "$sum" "$(in_ns p curl -4 -sS -m 20 http://q.i3/file | sha256sum | cut -d' ' -f1)"
  same "and one over IPv6" "$sum" "$(in_ns p curl -6 -sS -m 20 http://q.i3/file | sha256sum | cut -d' ' -f1)"
  large_is_refused() { in_ns p ping -4 -M do -c 1 -W 1 -s 1372 q.i3 2>&1 | grep -E 'too long|Frag needed|frag needed'; }
  wait_for 15 "programs to be told" large_is_refused
  mtu_is_known() { in_ns p ip route get "$(address4 p q.i3)" | grep -oE 'mtu [0-9]+' | grep -oE '[0-9]+'; }
  check "the path's size is known to the kernel" mtu_is_known
  check "what fits an underlay of 1280 arrives" in_ns p ping -4 -M do -c 3 -i 0.1 -W 2 -s $((1196 - 28)) q.i3
  check "IPv6's least packet arrives" in_ns p ping -6 -c 3 -i 0.1 -W 2 -s $((1280 - 48)) q.i3
  before=$(vanished q)
  same "a second download arrives" "$sum" "$(in_ns p curl -4 -sS -m 20 http://q.i3/file | sha256sum | cut -d' ' -f1)"
  within "packets of it that vanished" 0 5 $(($(vanished q) - before))
  for host in p q; do end "proxy-$host"; forget $host; done
done
[ "$(vanished p)" -gt 0 ] || fail "nothing vanished: the test shows nothing"
