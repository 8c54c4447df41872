#!/bin/bash
# IP multicast between hosts that are each behind a NAT of their own: ordinary programs join and send to
# 239.1.2.3, IPv4 and IPv6, small and fragmented; a host gets packets only while a program on it has
# joined; without the secret nobody hears or is heard.
. "$(dirname "$0")/../lib.sh"
begin 110
home_network
make_host c 3
start_ring
keygen a b c radio six secret
group() {
  printf '<group name="radio" key="%s" mode="multicast" address="239.1.2.3" secret="%s"/>' "${KEY[radio]}" "${1:-$(cat "$WORK/secret.key")}"
  printf '<group name="six" key="%s" mode="multicast" address="ff15::1:3"/>' "${KEY[six]}"
}
for h in a b c; do
  write_proxy $h know="$(tr -d $h <<< 'a b c')"
  sed -i "s|</address-book>|$(group)</address-book>|" "$WORK/$h/book.xml"
done
start_proxy a b c
lacks "groups are supported" "not supported" "$(ctl a status)"
has "the group's address is routed to the TUN" 'dev i3 ' "$(in_ns a ip route get 239.1.2.3)"
same "the name is the address" 239.1.2.3 "$(in_ns a dig +short radio.i3 A)"
same "and has no other" "" "$(in_ns a dig +short radio.i3 AAAA)"
same "of the IPv6 group as well" ff15::1:3 "$(in_ns a dig +short six.i3 AAAA)"

# b names the interface, c leaves it to its routes and says from whom it heard.
spawn hear-b b socat -u -b 65536 UDP4-RECV:5000,reuseaddr,ip-add-membership=239.1.2.3:i3 -
cat > "$WORK/hear.py" <<'EOT'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5000))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4s", socket.inet_aton("239.1.2.3"), bytes(4)))
print("joined", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    print(peer[0], len(data), data[:20].decode(errors="replace").strip(), flush=True)
EOT
spawn hear-c c python3 "$WORK/hear.py"
stands() { ctl "$1" --json triggers | jq -e '.triggers | any(.kind == "group" and .peer == "'"${2:-radio}"'" and .stands)' > /dev/null; }
wait_for 25 "b's place in the group" stands b
wait_for 25 "c's place in the group" stands c
same "status says that a program has joined" true "$(ctl b --json status | jq '.groups[] | select(.name == "radio") | .joined')"
same "and that none has on a" false "$(ctl a --json status | jq '.groups[] | select(.name == "radio") | .joined')"
say_to() { in_ns "$1" socat -u -b 65536 - "UDP4-DATAGRAM:239.1.2.3:5000"; }
heard() { grep -qa "$2" "$WORK/hear-$1.log"; }
echo "hello from a" | say_to a
wait_for 10 "b to hear" heard b "hello from a"
wait_for 10 "c to hear" heard c "hello from a"
has "the source is the sender's virtual address" "^$(address4 c a) 13 hello" "$(cat "$WORK/hear-c.log")"
{ printf 'large'; head -c 5000 /dev/zero | tr '\0' x; } > "$WORK/large"
say_to a < "$WORK/large"  # one read, one datagram
wait_for 10 "a datagram of 5005 bytes, in fragments" heard c " 5005 large"
echo "hello from b" | say_to b
wait_for 10 "c to hear b, which is a receiver too" heard c "hello from b"
same "each packet came once" 1 "$(grep -ca 'hello from a' "$WORK/hear-c.log")"
counted() { ctl "$1" --json metrics | jq -r .text | awk -v e="multicast_total{event=\"$2\"}" 'index($0, e) { print $2 }'; }
same "b does not hear itself twice" 1 "$(counted b own)"

# What reaches b's wire while its program is in the group, and after it left.
in_ns b nft 'add table inet seen; add chain inet seen in { type filter hook input priority 0; }; add rule inet seen in iifname "eth0" udp length 900-1500 counter'
seen() { in_ns b nft -j list table inet seen | jq '[.. | .counter? // empty | .packets] | add'; }
burst() { local i; for i in $(seq 20); do head -c 1000 /dev/zero | say_to a; done; }
burst
saw() { [ "$(seen)" -ge 20 ]; }
wait_for 10 "20 packets to reach b" saw
end hear-b
left() { [ "$(ctl b --json status | jq '.groups[] | select(.name == "radio") | .joined')" = false ]; }
wait_for 10 "b to leave" left
gone() { ! stands b; }
wait_for 10 "its place to be removed" gone
before=$(seen) heard_by_c=$(counted c received)
burst
c_heard() { [ "$(counted c received)" -ge $((heard_by_c + 20)) ]; }
wait_for 10 "c to hear on" c_heard
same "b left: not one packet more on its wire" "$before" "$(seen)"

# The daemon's worker dies: what programs have joined is read from the kernel again.
kill -9 "$(worker_of c)"
wait_for 25 "c's place after a crash" stands c
again() { echo "after the crash" | say_to a; heard c "after the crash"; }
wait_for 10 "c to hear after a crash" again
end hear-c
gone_c() { ! stands c; }
wait_for 10 "c to leave" gone_c
nobody() { burst; [ "$(counted a no_members)" -gt 0 ]; }
wait_for 10 "nobody to be sent to any more" nobody

spawn hear-6 b socat -u UDP6-RECV:5001,reuseaddr,ipv6-join-group=[ff15::1:3]:i3 -
wait_for 25 "b's place in the IPv6 group" stands b six
six() { echo "six" | in_ns a socat -u - "UDP6-DATAGRAM:[ff15::1:3]:5001"; grep -q six "$WORK/hear-6.log"; }
wait_for 10 "b to hear over IPv6" six

# Another secret under the same key: another group.
sed -i "s|secret=\"[a-z2-7]*\"|secret=\"$(cat "$WORK/a.key")\"|" "$WORK/c/book.xml"
ctl c reload > /dev/null
spawn hear-b2 b socat -u UDP4-RECV:5000,reuseaddr,ip-add-membership=239.1.2.3:i3 -
wait_for 25 "b's place again" stands b
echo "who hears me" | say_to c
echo "from a again" | say_to a
wait_for 10 "b to hear a" grep -q "from a again" "$WORK/hear-b2.log"
refuse "who has another secret is not heard" grep -q "who hears me" "$WORK/hear-b2.log"

sed -i 's|<group name="radio"[^>]*>||' "$WORK/a/book.xml"
ctl a reload > /dev/null
refuse "a group that left the book is not routed to the TUN" sh -c "ip netns exec $RUN-a ip route get 239.1.2.3 | grep -q 'dev i3 '"
