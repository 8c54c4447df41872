#!/bin/bash
# The relay in the kernel sends what user space would send, byte for byte; it carries a real
# conversation; a trigger that is removed ends its lease; and it goes with its process.
. "$(dirname "$0")/../lib.sh"
begin 200
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
keygen n1 p q

in_ns n1 ip address add 10.9.0.1/24 dev eth0
in_ns n1 ip address add fd09::1/64 dev eth0 nodad
if out=$(in_ns n1 "$I3_BIN/kernel_relay_probe"); then
  say "ok - the program's packets are those of user space: $out"
elif [ $? = 77 ]; then
  say "$out"
  exit 77
else
  fail "the program and user space differ: $out"
fi

start_node n1
wait_for 10 "the node" ctl_node n1 ring
for pair in "p q" "q p"; do
  # shellcheck disable=SC2086
  set -- $pair
  write_proxy "$1" know="$2" nodes=n1 allow="<allow from=\"$2\"/>" shortcuts=no
done
start_proxy p q
address=$(address4 p q.i3)
counter() { ctl_node n1 metrics | jq -r .text | sed -n "s/.*event=\"$1\"} //p"; }
check "a ping goes through" in_ns p ping -c 20 -i 0.02 -W 2 "$address"
check "most of it in the kernel" test "$(counter kernel_relayed_packets)" -gt 30
user=$(counter relayed_packets)
spawn web q socat -u TCP-LISTEN:7000,reuseaddr OPEN:/dev/null
wait_for 5 "the sink" in_ns p socat -u OPEN:/dev/null "TCP:$address:7000"
spawn web2 q bash -c 'socat -u TCP-LISTEN:7001,reuseaddr STDOUT | sha256sum > /run/sum'
head -c 20000000 /dev/urandom > "$WORK/data"
wait_for 5 "the sink" in_ns q bash -c 'ss -ltn | grep -q :7001'
check "20 MB go through it" in_ns p socat -u "OPEN:$WORK/data" "TCP:$address:7001"
wait_for 10 "the sum" in_ns q test -s /run/sum
same "and arrive unchanged" "$(sha256sum < "$WORK/data")" "$(in_ns q cat /run/sum)"
check "in the kernel" test "$(counter kernel_relayed_packets)" -gt 10000
within "while user space sent hardly any" 0 2000 $(($(counter relayed_packets) - user))

end proxy-q
gone() { [ "$(counter kernel_leases)" = 0 ]; }
wait_for 8 "every lease to end with the triggers" gone
say "ok - what ends a host's triggers ends its leases"
attached() { in_ns n1 "$I3_BIN/kernel_relay_probe" attached eth0; }
same "one program sits on the interface" 1 "$(attached)"
end node-n1 KILL
same "kill -9 takes it away" 0 "$(attached)"
