#!/bin/bash
# A fifth of all packets is lost on the underlay while everything is set up: it connects all the same.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 170
home_network
start_ring
keygen a b
write_proxy a know=b
write_proxy b know=a allow='<allow from="a"/>'
loss ra wan 20
spawn proxy-a a "$I3_BIN/i3-proxy" --config "$WORK/a/proxy.xml"
spawn proxy-b b "$I3_BIN/i3-proxy" --config "$WORK/b/proxy.xml"
wait_for 30 "a to be ready" is_ready a
wait_for 30 "b to be ready" is_ready b
start_nginx b
connects() { in_ns a curl -4 -svf -m 30 -o /dev/null http://b.i3/who; }
has_loss() { in_ns "$1" nft list table inet loss | grep -q 'random mod 100 < 20'; }
# Each packet between a and b crosses the lossy router once: a's in the first rounds, then b's.
for router in ra rb; do
  loss ra wan 0
  loss rb wan 0
  loss $router wan 20
  for round in 1 2 3; do
    end proxy-${router#r}
    forget ${router#r}
    start_proxy ${router#r}
    check "a fifth lost at $router, round $round: it connects" connects
  done
  check "the loss was there to the end" has_loss $router
done
