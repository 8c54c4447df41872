#!/bin/bash
# Opening a TCP connection to a host whose name was just resolved for the first time takes no more
# round trips than TCP itself: a's cable delays by 50 ms each way, and the capture on a's own TUN and
# underlay tells what was between the SYN and its answer.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/figures.sh"
CABLE=$I3_BIN/i3-test-cable
begin 110
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
make_host b 2
make_router ra 1
new_host a 198.51.100.1
spawn cable internet "$CABLE" "/proc/${HOLDER[a]}/ns/net" eth0 "/proc/${HOLDER[ra]}/ns/net" lan 50
wait_for 5 "the slow cable" grep -q delay "$WORK/cable.log"
in_ns a ip link set eth0 up
in_ns ra ip link set lan up
addresses ra lan 192.168.1.1/24
addresses a eth0 192.168.1.2/24
in_ns a ip route add default via 192.168.1.1
wait_for 5 "the cable to carry" in_ns a ping -c 1 -W 1 198.51.100.11
rtt=$(in_ns a ping -c 5 -i 0.2 -q 198.51.100.12 | sed -n 's/^rtt.* = \([0-9.]*\)\/.*/\1/p')
within "a round trip on the slow cable, ms" 100 120 "$rtt"
start_ring
keygen a b
write_proxy a know=b shortcuts=no
write_proxy b know=a allow='<allow from="a"/>' shortcuts=no
start_proxy b
start_nginx b

extra=()
for run in 1 2 3; do
  # New daemon, new state: b's name was never resolved, no session, no label, no cached node.
  start_proxy a
  wait_for 5 "the interface" in_ns a ip link show i3
  for device in i3 eth0; do
    spawn "capture-$device" a tcpdump -i "$device" -n -U --immediate-mode -w "$WORK/$device.pcap" "tcp or udp port 5100"
    wait_for 10 "the capture on $device" grep -q "listening on" "$WORK/capture-$device.log"
  done
  same "run $run: the page arrives" 200 "$(in_ns a curl -4 -s -m 10 -o /dev/null -w '%{http_code}' http://b.i3/who)"
  for device in i3 eth0; do end "capture-$device" INT 5; : > "$WORK/capture-$device.log"; done
  syn=$(tshark -r "$WORK/i3.pcap" -Y 'tcp.flags.syn==1 && tcp.flags.ack==0' -T fields -e frame.time_epoch 2>/dev/null | head -n 1)
  ack=$(tshark -r "$WORK/i3.pcap" -Y 'tcp.flags.syn==1 && tcp.flags.ack==1' -T fields -e frame.time_epoch 2>/dev/null | head -n 1)
  same "run $run: the SYN was sent once" 1 "$(tshark -r "$WORK/i3.pcap" -Y 'tcp.flags.syn==1 && tcp.flags.ack==0' 2>/dev/null | wc -l)"
  # Turns on the underlay between the two: out, in is one exchange; out, in, out, in would be two.
  turns=$(tshark -r "$WORK/eth0.pcap" -Y 'udp.port==5100' -T fields -e frame.time_epoch -e udp.dstport 2>/dev/null |
    awk -v from="$syn" -v to="$ack" '$1 >= from && $1 <= to { d = $2 == 5100 ? "out" : "in"; if (d != last) { printf "%s ", d; last = d } }')
  say "run $run: on the wire between SYN and its answer: $turns"
  trips=$(awk -v s="$syn" -v a="$ack" -v r="$rtt" 'BEGIN { printf "%d", (a - s) * 1000 / r + 0.3 }')
  extra+=($((trips - 1)))
  end proxy-a
  forget a
done
figure connect.extra_round_trips "" 0 lower '{}' "${extra[@]}"
same "round trips beyond TCP's own: none" "0 0 0" "${extra[*]}"
