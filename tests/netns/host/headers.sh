#!/bin/bash
# Bytes on the wire beyond the application's packet and the outer IP and UDP headers, on an
# established conversation: counted in a capture, through a node and straight.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 110
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
start_ring
keygen p q

# overheads: extra bytes of each datagram that carried one of p's 20 pings of 1000 bytes, smallest and
# largest; a packet that carries an IP packet of 1000 bytes is the only one of its size.
overheads() {
  spawn capture p tcpdump -i eth0 -n -U --immediate-mode -w "$WORK/wire.pcap" udp
  wait_for 10 "the capture" grep -q "listening on" "$WORK/capture.log"
  same "20 pings of 1000 bytes are answered" 20 "$(in_ns p ping -4 -s 972 -c 20 -i 0.05 -W 2 q.i3 | sed -n 's/.* \([0-9]*\) received.*/\1/p')"
  end capture INT 5
  tshark -r "$WORK/wire.pcap" -T fields -e udp.length 2>/dev/null | awk '$1 >= 1008 { print $1 - 8 - 1000 }' | sort -n > "$WORK/extra"
  : > "$WORK/capture.log"
  same "each of the 40 packets was seen on the wire" 40 "$(wc -l < "$WORK/extra")"
}
through() { [ "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')" = "$1" ]; }

for way in node direct; do
  shortcuts=no goal=37 name=relay paper='{"paper 2004":37}'
  [ $way = direct ] && { shortcuts=yes goal=32 name=direct paper='{}'; }
  write_proxy p know=q allow='<allow from="q"/>' shortcuts=$shortcuts
  write_proxy q know=p allow='<allow from="p"/>' shortcuts=$shortcuts
  start_proxy p q
  wait_for 10 "the first ping" in_ns p ping -c 1 -W 1 q.i3
  ping_and_through() { in_ns p ping -c 1 -W 1 q.i3; through $way; }
  wait_for 15 "the path to be '$way'" ping_and_through
  overheads
  # shellcheck disable=SC2046
  figure "header.${name}_bytes" bytes $goal lower "$paper" $(cat "$WORK/extra")
  within "bytes beyond the packet and outer IP and UDP, $way: largest" 0 $goal "$(tail -n 1 "$WORK/extra")"
  end proxy-p
  end proxy-q
done
