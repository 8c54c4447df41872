#!/bin/bash
# What a gateway does not give: clients, names, ports and addresses. Nothing of it reaches the intranet,
# by the counters of its cable; and a stranger learns nothing.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_intranet '<allow client="a" names="(.+\.)?corp\.example" addresses="10.1.0.0/24,fd10::10" protocol="tcp" ports="80,7000-7010"/>' \
  allow='<allow from="corp-gateway" ports="80"/>'
keygen b
make_public b eth0 198.51.100.50/24
write_proxy b nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/><route suffix="secret.example" via="corp-gateway"/>'
know_gateway b corp-gateway g
start_proxy b
start_nginx s 80 8080
start_nginx a 80
spawn echo s socat UDP4-RECVFROM:7000,fork EXEC:cat
wait_for 5 "the echo server" in_ns s sh -c "ss -Hnul sport = :7000 | grep -q ."
# Everything that leaves towards the intranet, questions to its DNS apart.
in_ns g nft -f - <<'NFT' || fail "counters"
table inet watch {
  counter questions { }
  counter connections { }
  chain out { type filter hook postrouting priority 300;
    oifname "lan" meta l4proto { tcp, udp } th dport 53 counter name questions accept
    oifname "lan" ct state new meta l4proto { tcp, udp, icmp } counter name connections
    oifname "lan" ct state new icmpv6 type echo-request counter name connections
  }
}
NFT
watched() { in_ns g nft -j list counter inet watch "$1" | jq '.nftables[] | .counter? // empty | .packets'; }

same "an allowed name, address and port" 10.1.0.1 "$(in_ns a curl -4 -s -m 10 http://www.corp.example/who)"
questions=$(watched questions)

start=$(now_ms)
same "a client without a rule gets no answer" SERVFAIL "$(rcode b www.corp.example)"
within "but is not left waiting: seconds" 0 6 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
same "the gateway has no session with it" 1 "$(ctl_gateway g --json peers | jq '.peers | length')"
has "and met it with silence" '[1-9]' "$(ctl_gateway g metrics | sed -n 's/.*verdict="stranger"} //p')"

same "a name that no rule gives is refused" REFUSED "$(rcode a corp.example.org.corp-gateway.i3)"
same "also one that is there" REFUSED "$(rcode a secret.example.corp-gateway.i3)"
same "no question about them was asked" "$questions" "$(watched questions)"

start=$(now_ms)
same "another port is refused" 7 "$(in_ns a sh -c 'curl -4 -s -m 5 http://www.corp.example:8080/; echo $?')"
within "at once: seconds" 0 2 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
same "by IPv6 as well" 7 "$(in_ns a sh -c 'curl -6 -s -m 5 http://www.corp.example:8080/; echo $?')"
connections=$(watched connections)
refuse "another protocol" in_ns a ping -4 -c 1 -W 2 www.corp.example
has "the server itself would answer" x "$(in_ns g sh -c 'echo x | socat -t 1 -T 1 - UDP4:10.1.0.10:7000')"
connections=$((connections + 1))
refuse "and UDP" in_ns a sh -c "echo x | socat -t 1 -T 1 - UDP4:www.corp.example:7000 | grep x"
same "none of it went into the intranet" "$connections" "$(watched connections)"

for name in outside loop meta self virtual; do
  same "a name that leads elsewhere is refused: $name" REFUSED "$(rcode a $name.corp.example)"
done
same "an address without a name, outside of what a rule names" REFUSED "$(rcode a 10-9-0-10.corp-gateway.i3)"
same "loopback by its address" REFUSED "$(rcode a 127-0-0-1.corp-gateway.i3)"
same "metadata by its address" REFUSED "$(rcode a 169-254-169-254.corp-gateway.i3)"
same "an address that a rule names has that rule's ports" 10.1.0.1 \
  "$(in_ns a curl -4 -s -m 10 http://10-1-0-11.corp-gateway.i3/who)"

# What nobody resolved is not there, whoever guesses it: an address of the pool, and another's.
guess=$(in_ns a sh -c 'ip -4 route show dev i3 | head -n 1 | cut -d" " -f1')
refuse "an address that was not resolved" in_ns a ping -c 1 -W 2 100.64.77.77
in_ns a ip route add 10.1.0.0/24 dev i3
refuse "the intranet's own addresses lead nowhere" in_ns a curl -4 -s -m 3 http://10.1.0.10/who
has "the guess was about the pool" 100 "$guess"
client=$(ctl_gateway g --json peers | jq -r '.peers[] | select(.name == "a").ipv4')
check "the client gives the gateway its own server" in_ns g curl -4 -s -m 5 "http://$client/who"
check "a host next to the gateway sends what is a client's to it" in_ns s ip route add 100.64.0.0/10 via 10.1.0.1
refuse "which is no router to its clients" in_ns s curl -4 -s -m 2 "http://$client/who"

# Rules are read again.
write_gateway g a '<allow client="a" names="other\.corp\.example"/>'
check "the rules are read again" ctl_gateway g reload
refuse "what a rule gave is gone with it" in_ns a curl -4 -s -m 4 http://www.corp.example/who
same "asked again, it is refused" REFUSED "$(rcode a www.corp.example)"
same "what the new one gives is there" 10.1.0.1 "$(in_ns a curl -4 -s -m 10 http://other.corp.example:8080/who)"
