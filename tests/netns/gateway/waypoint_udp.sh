#!/bin/bash
# UDP and pings to an IPv4 waypoint from machines that run nothing and opened no TCP connection before: by the
# question that they, or somebody of their network, asked a moment ago; and what forged sources get of that.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/waypoint_lib.sh"
begin 90
one_gateway
for host in shop files; do
  spawn "echo-$host" "$host" socat UDP4-RECVFROM:7,fork "SYSTEM:echo $host"
  spawn "dns-$host" "$host" dnsmasq --no-daemon --no-resolv --no-hosts --user=root --pid-file= --bind-dynamic \
    --interface=i3 --except-interface=lo --port=5300 "--txt-record=whose,$host"
done
for host in shop files; do
  wait_for 5 "the echo server" in_ns "$host" sh -c "ss -Hnul sport = :7 | grep -q ."
  wait_for 5 "the DNS server" in_ns "$host" sh -c "ss -Hnul sport = :5300 | grep -q ."
done
# A machine of another network than its resolver.
make_public w eth0 203.0.113.70/24
in_ns w ip route add 198.51.100.0/24 dev eth0
in_ns g ip route add 203.0.113.0/24 dev eth0
in_ns internet ip route add 203.0.113.0/24 dev net
# echo_of HOST NAME: who answers there.
echo_of() { in_ns "$1" sh -c "echo q | socat -t 2 -T 2 - UDP4:$2.$ZONE:7"; }

same "UDP" shop "$(echo_of x shop)"
same "to another name" files "$(echo_of x files)"
same "dig, of a DNS server behind" '"shop"' "$(in_ns x dig -4 +short +time=3 +tries=1 -p 5300 "@shop.$ZONE" whose TXT)"
same "and behind another name" '"files"' "$(in_ns x dig -4 +short +time=3 +tries=1 -p 5300 "@files.$ZONE" whose TXT)"
has "ping" " 3 received" "$(in_ns x ping -4 -c 3 -i 0.2 -W 2 "shop.$ZONE" 2>&1)"
same "a client whose resolver is in another network" shop "$(echo_of w shop)"
has "and its ping" " 3 received" "$(in_ns w ping -4 -c 3 -i 0.2 -W 2 "files.$ZONE" 2>&1)"
same "which bound nobody" 0 "$(from_ip g bindings)"

# A flow goes on after its window; another one does not begin.
in_ns x dig +short "shop.$ZONE" A > "$WORK/shop4"
shop4=$(cat "$WORK/shop4")
spawn long x sh -c "{ echo 1; sleep 3; echo 2; sleep 1; } | socat -t 1 -T 8 - UDP4:$shop4:7"
wait_for 5 "the windows to close" is_from_ip g windows 0
same "who has not asked is told that nothing is there" 1 \
  "$(in_ns y sh -c "ping -4 -c 1 -W 3 $shop4 > $WORK/ping 2>&1; echo \$?")"
has "and by the gateway, not by a host" "Host Unreachable" "$(cat "$WORK/ping")"
has "UDP likewise" "refused" "$(in_ns y sh -c "echo q | socat -t 2 -T 2 - UDP4:$shop4:7" 2>&1)"
wait_gone "${PID[long]}" 10 || fail "the flow does not end"
unset "PID[long]"
same "a flow goes on when its window is shut" 2 "$(grep -c shop "$WORK/long.log")"

# ---- a flood of forged sources while the windows are open
in_ns g nft -f - <<'NFT' || fail "counter"
table inet watch {
  counter opened { }
  chain out { type filter hook postrouting priority 300; oifname "i3-gateway" ip protocol udp ct state new counter name opened; }
}
NFT
opened() { in_ns g nft -j list counter inet watch opened | jq '.nftables[] | .counter? // empty | .packets'; }
spawn flood y "$I3_BIN/syn_flood" udp 198.51.100.61 198.51.100.62 9 30000
started=$(now_ms)
for name in shop files shop files; do same "UDP during a flood, from the network that asked" "$name" "$(echo_of x $name)"; done
wait_for 30 "the flood's end" sh -c "! kill -0 ${PID[flood]}"
# 200 at once and 100 a second, of all others together; and the few of the network that asked.
within "of 30000 forged flows those went through that the limit lets" 1 \
  $((240 + ($(now_ms) - started) / 10)) "$(opened)"
same "and bound nobody" 0 "$(from_ip g bindings)"
end gateway-g
in_ns g nft delete table inet watch
in_ns g ip route del 203.0.113.0/24 dev eth0
dump_state g "$WORK/after"
check "the gateway puts everything back" same_state "$WORK/before" "$WORK/after"
