#!/bin/bash
# IP-to-i3 with unmodified programs: machines that run nothing reach overlay hosts by names of a zone. Any
# number of names share one IPv4 address by Host and by TLS server name; other ports by who asked.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/waypoint_lib.sh"
begin 120
flood_is_over() { ! runs flood; }
one_gateway
for host in shop files; do
  start_site "$host"
  start_sshd "$host"
done
trust="--cacert $WORK/shop.crt"

# ---- names in the first bytes: no DNS question, one address
w=198.51.100.61
has "a name by its Host" "this is shop" "$(at $w x "http://shop.$ZONE/")"
has "another one at the same address" "this is files" "$(at $w x "http://files.$ZONE/")"
has "in any letter case" "this is shop" "$(at $w x -H "Host: SHOP.I3.Example.org:80" "http://nobody.$ZONE/")"
has "a name by TLS's server name, its own certificate" "this is shop" "$(at $w x $trust "https://shop.$ZONE/")"
has "another one at the same address" "this is files" "$(at $w x --cacert "$WORK/files.crt" "https://files.$ZONE/")"
same "a Host that is nobody" 421 "$(at $w x -o /dev/null -w '%{http_code}' "http://nobody.$ZONE/")"
same "a server name that is nobody: an alert" 35 "$(at $w x -k "https://nobody.$ZONE/"; echo $?)"
has "a request in pieces" "this is shop" "$(in_ns x sh -c "{ printf 'GET / HT'; sleep 0.2; printf 'TP/1.1\r\nHo'; sleep 0.2
  printf 'st: shop.$ZONE\r\nConnection: close\r\n\r\n'; } | socat -t 5 - TCP4:$w:80")"
in_ns x ip route add $w/32 dev eth0 mtu lock 140
has "a ClientHello in several segments" "this is shop" "$(at $w x $trust "https://shop.$ZONE/")"
in_ns x ip route del $w/32 dev eth0
in_ns x sh -c "socat -t 2 -T 2 - TCP4:$w:443 < $I3_TREE/tests/fuzz/corpus/tls_hello/encrypted" > /dev/null
same "an encrypted ClientHello, where nobody is the default" "1 0" "$(visitor_event g encrypted) $(visitor_event g by_default)"

# ---- by who asked
same "the server sees the gateway" "$(field shop ipv4 resolve g)" "$(in_ns x curl -4 -s -m 10 "http://shop.$ZONE/who")"
same "ssh, by name" shop "$(ssh_from x -4 "shop.$ZONE" hostname 2>&1)"
same "ssh to another" files "$(ssh_from x -4 "files.$ZONE" hostname 2>&1)"
same "another client, another binding" shop "$(ssh_from y -4 "shop.$ZONE" hostname 2>&1)"
has "the server's i3-ctl knows the client" '^198\.51\.100\.7[01]:[0-9]+$' \
  "$(ctl shop --json peers | jq -r '[.peers[] | select(.name == "g")][0].clients[0].address')"
has "and its log" 'client through=g client=198\.51\.100\.70:[0-9]+ protocol=tcp port=22' "$(cat "$WORK/proxy-shop.log")"
wait_for 5 "the windows to close" is_from_ip g windows 0
make_public z eth0 198.51.100.72/24 2001:db8:1::72/64
has "who did not ask gets a reset" '^(7|52|56)$' "$(in_ns z curl -s -m 5 "http://$w:22/"; echo $?)"
for host in shop files; do
  spawn "echo-$host" "$host" socat UDP4-RECVFROM:7,fork "SYSTEM:echo $host"
  wait_for 5 "the echo server" in_ns "$host" sh -c "ss -Hnul sport = :7 | grep -q ."
done
shop4=$(in_ns x dig +short "shop.$ZONE" A)
same "the name keeps its address for that resolver" "$shop4" "$(in_ns x dig +short "shop.$ZONE" A)"
wait_for 5 "UDP where the client is bound" sh -c \
  "[ \"\$(nsenter --net=/run/netns/$RUN-x sh -c 'echo q | socat -t 1 -T 1 - UDP4:$shop4:7')\" = shop ]"

# ---- a flood of SYNs, with forged sources, at every waypoint while a client asks and comes
bindings=$(from_ip g bindings)
spawn flood y "$I3_BIN/syn_flood" 198.51.100.61 198.51.100.62 22 30000
same "ssh during a flood of SYNs" files "$(ssh_from x -4 "files.$ZONE" hostname 2>&1)"
wait_for 20 "the flood's end" flood_is_over
wait "${PID[flood]}" || fail "the flood was not sent: $(cat "$WORK/flood.log")"
same "which bound nobody" "$bindings" "$(from_ip g bindings)"

# ---- bytes
sum=$(big_file shop file 20)
same "20 MB arrive unchanged" "$sum" "$(in_ns x curl -4 -sS -m 60 "http://shop.$ZONE/file" | sha256sum | cut -d' ' -f1)"
has "a client that has finished sending still gets its answer" "this is shop" \
  "$(in_ns x sh -c "printf 'GET / HTTP/1.0\r\nHost: shop.$ZONE\r\n\r\n' | socat -t 5 - TCP4:$w:80")"
has "a closed port is a reset" '^(7|52|56)$' "$(in_ns x curl -4 -s -m 5 "http://shop.$ZONE:81/"; echo $?)"

end gateway-g
dump_state g "$WORK/after"
check "the gateway puts everything back" same_state "$WORK/before" "$WORK/after"
