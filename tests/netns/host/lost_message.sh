#!/bin/bash
# Any single message of the set-up may be lost, in either direction: it connects all the same.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 280
home_network
start_ring
keygen a b
write_proxy a know=b
write_proxy b know=a allow='<allow from="a"/>'
start_proxy b
start_nginx b
# lose DIRECTION K: drops the K-th packet (from 0) that a's cable carries to or from a node from now on.
lose() {
  in_ns a nft delete table inet lose 2>/dev/null
  local hook=input device=iifname port=sport
  [ "$1" = out ] && { hook=output device=oifname port=dport; }
  in_ns a nft -f - <<EOF || fail "cannot lose a packet"
table inet lose {
  chain c { type filter hook $hook priority -500;
    $device "eth0" udp $port 5100 numgen inc mod 1000000 == $2 counter drop; }
}
EOF
}
dropped() { in_ns a nft list table inet lose | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p'; }
connects() { in_ns a curl -4 -sf -m 12 -o /dev/null http://b.i3/who; }

hits=0
for direction in out in; do
  # Everything from the start of the daemon on: entry node, challenge, insertion.
  for k in 0 1 2 3 4 5 6 7; do
    lose $direction $k
    start_proxy a
    check "message $k $direction of the start is lost: it connects" connects
    hits=$((hits + $(dropped)))
    end proxy-a
    forget a
  done
  # From the first packet towards b on: look-up, handshake, the early packet, the label.
  for k in 0 1 2 3 4; do
    in_ns a nft delete table inet lose 2> /dev/null
    start_proxy a
    lose $direction $k
    check "message $k $direction of the first conversation is lost: it connects" connects
    hits=$((hits + $(dropped)))
    end proxy-a
    forget a
  done
done
in_ns a nft delete table inet lose
within "messages that were really lost" 20 26 "$hits"
