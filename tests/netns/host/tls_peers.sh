#!/bin/bash
# Both hosts in tunnels, a way that is set by hand, a stalled connection, and strangers at port 443.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 230
home_network
make_public p eth0 198.51.100.50/24
TLS_NODES=n1
start_ring
keygen a b
block_udp ra
write_proxy a know=b allow='<allow from="b"/>'
write_proxy b know=a allow='<allow from="a"/>' transport=tls
# b may use UDP and is told not to.
in_ns rb nft -f - <<'RULES'
table inet count {
  counter overlay { }
  chain forward {
    type filter hook forward priority -20; iifname "lan" udp dport 5100 counter name overlay
  }
}
RULES
start_proxy a b
start_nginx b
sum=$(big_file b big 5)
same "both hosts in tunnels: 5 MB arrive unchanged" "$sum" \
  "$(in_ns a curl -4 -sS -m 60 http://b.i3/big | sha256sum | cut -d' ' -f1)"
has "ping goes both ways" " 3 received" "$(in_ns b ping -4 -c 3 -i 0.2 -W 2 a.i3)"
same "the host with transport=\"tls\" says so" 'transport="tls" in <overlay>' "$(field b transport.reason status)"
has "and sends nothing by UDP" "packets 0 " "$(in_ns rb nft list counter inet count overlay)"
same "the node serves two tunnels" 2 "$(ctl_node n1 status | jq .tls.tunnels)"
fetches() { in_ns a curl -4 -sf -m "${1:-5}" -o /dev/null http://b.i3/who; }
rss() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$1/status"; }

# Strangers: what is no TLS, what is TLS and no tunnel, who says nothing.
refuse "plain HTTP gets no answer" in_ns p curl -s -m 5 http://198.51.100.11:443/
same "HTTPS is answered as by a web server that does not understand" 400 \
  "$(in_ns p curl -sk -m 5 -o /dev/null -w '%{http_code}' https://198.51.100.11/)"
session=$(in_ns p sh -c 'echo | timeout 5 openssl s_client -connect 198.51.100.11:443 -alpn http/1.1' 2>&1)
has "it is TLS 1.3" "TLSv1.3" "$session"
has "with an Ed25519 key" "ED25519|Ed25519" "$session"
before=$(rss "${PID[node-n1]}")
silent() { in_ns n1 ss -Htn state established sport = :443 dst 198.51.100.50 | wc -l; }
for i in $(seq 100); do spawn "silent-$i" p socat -u TCP:198.51.100.11:443 /dev/null; done
wait_for 5 "the silent ones to connect" eval '[ "$(silent)" -gt 5 ]'
check "with a hundred silent strangers at the port too" fetches
within "no more of them are served than one source may have" 1 64 "$(silent)"
wait_for 15 "the silent ones to be put out" eval '[ "$(silent)" = 0 ]'
in_ns p sh -c 'for i in $(seq 40); do
  head -c 200000 /dev/urandom | timeout 2 socat -u - TCP:198.51.100.11:443
  head -c 200000 /dev/urandom | timeout 2 socat -u - OPENSSL:198.51.100.11:443,verify=0
done' > /dev/null 2>&1
check "after random bytes, in TLS and without, the hosts still talk" fetches
within "the node's memory did not grow by them (MB)" -100 12 "$(($(rss "${PID[node-n1]}") - before))"
same "both tunnels stand" 2 "$(ctl_node n1 status | jq .tls.tunnels)"

# A connection that stalls while both ends send all they can.
flood() { spawn "flood-$1" "$1" timeout 4 socat -b 1200 -u OPEN:/dev/zero "UDP4-SENDTO:$(address4 "$1" "$2"):9"; }
worker=$(worker_of a)
before_a=$(rss "$worker")
before_n=$(rss "${PID[node-n1]}")
in_ns ra nft -f - <<'RULES'
table inet stall {
  chain forward { type filter hook forward priority -15; tcp dport 443 drop; tcp sport 443 drop; }
}
RULES
flood a b
flood b a
wait_gone "${PID[flood-a]}" 10
wait_gone "${PID[flood-b]}" 10
within "a stalled tunnel does not grow the host's memory (MB)" -100 6 "$(($(rss "$worker") - before_a))"
within "nor the node's (MB)" -100 6 "$(($(rss "${PID[node-n1]}") - before_n))"
has "what did not fit is counted" 'tunnel_stalled"} [1-9]' \
  "$(in_ns n1 "$I3_BIN/i3-ctl" --socket /run/i3/node.sock metrics)"
in_ns ra nft delete table inet stall
start=$(now_ms)
wait_for 20 "the hosts to talk again" fetches 2
within "when it flows again the hosts talk after (s)" 0 10 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"

# The node with the tunnels starts anew.
end node-n1 KILL
start_node n1 n2
start=$(now_ms)
wait_for 30 "the hosts to talk again" fetches 2
within "after the node's restart they talk again after (s)" 0 20 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
