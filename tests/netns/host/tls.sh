#!/bin/bash
# A host whose network drops all UDP reaches others over TLS on TCP 443, through the one node of the
# ring that serves it; when UDP is blocked or comes back in the middle, connections go on.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 230
home_network
TLS_NODES=n2
start_ring
keygen a b
write_proxy a know=b
write_proxy b know=a allow='<allow from="a"/>'
start_proxy b
start_nginx b
sum=$(big_file b big 20)
block_udp ra
refuse "the test's network drops UDP" in_ns a dig +time=1 +tries=1 @198.51.100.1 real.example

fetches() { in_ns a curl -4 -sf -m 2 -o /dev/null http://b.i3/who; }
path_is() { [ "$(ctl a --json peers | jq -r '.peers[] | select(.name == "b") | .path')" = "$1" ]; }
transport() { field a transport.way status; }
way_is() { [ "$(transport)" = "$1" ]; }

start=$(now_ms)
spawn proxy-a a "$I3_BIN/i3-proxy" --config "$WORK/a/proxy.xml"
wait_for 15 "a page over TLS" fetches
within "with UDP blocked a page arrives after the daemon's start (s)" 0 5 \
  "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
same "i3-ctl peers names the path" tls "$(ctl a --json peers | jq -r '.peers[0].path')"
same "and the node that serves the tunnel" 198.51.100.12:443 "$(field a transport.node status)"
has "status says why" "no node answers over UDP" "$(field a transport.reason status)"
same "netcheck says that UDP is blocked" false "$(field a udp netcheck)"
has "ping through the overlay works" " 3 received" "$(in_ns a ping -4 -c 3 -i 0.2 -W 2 b.i3)"
same "20 MB arrive unchanged over TLS" "$sum" "$(in_ns a curl -4 -sS -m 60 http://b.i3/big | sha256sum | cut -d' ' -f1)"
has "the node counts what it relays to the others" "tunnel_relayed" "$(in_ns n2 "$I3_BIN/i3-ctl" --socket /run/i3/node.sock metrics)"

# A connection that carries a number every 50 ms, over every change of way.
cat > "$WORK/b/ticks.sh" <<'SCRIPT'
#!/bin/bash
i=0
while echo $((i += 1)); do sleep 0.05; done
SCRIPT
chmod +x "$WORK/b/ticks.sh"
spawn ticks b socat TCP-LISTEN:7000,fork,reuseaddr "EXEC:$WORK/b/ticks.sh"
wait_for 5 "the ticking server" in_ns b sh -c "ss -Hntl sport = :7000 | grep -q ."
in_ns a socat -u TCP4:b.i3:7000 "OPEN:$WORK/ticks,creat,append" &
PID[reader]=$!
wait_for 10 "the first ticks" test -s "$WORK/ticks"
# goes_on: ten more of them.
remember() { before=$(wc -l < "$WORK/ticks"); }
goes_on() { [ "$(wc -l < "$WORK/ticks")" -ge "$((before + 10))" ]; }

unblock_udp ra
start=$(now_ms)
wait_for 30 "UDP to be used again" way_is udp
within "UDP is used again after it returned (s)" 0 10 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
remember
wait_for 10 "the ticks to go on over UDP" goes_on
check "the path is no tunnel any more" eval '! path_is tls'

# Blocked in the middle of the same connection. What was on its way may still arrive.
for round in 1 2; do
  block_udp ra
  start=$(now_ms)
  remember
  wait_for 20 "the ticks to go on over TLS" goes_on
  within "blocked in the middle, round $round: it goes on after (s)" 0 5 \
    "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
  same "over TLS" tls "$(transport)"
  unblock_udp ra
  wait_for 60 "UDP to be used again" way_is udp
  remember
  wait_for 10 "the ticks to go on over UDP" goes_on
done
kill "${PID[reader]}" 2>/dev/null
# Whole lines of one moment: the reader may take its time to end.
ticks=$(wc -l < "$WORK/ticks")
same "no tick was lost or came twice in all that" "$(seq "$ticks" | md5sum)" "$(head -n "$ticks" "$WORK/ticks" | md5sum)"
