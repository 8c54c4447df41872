#!/bin/bash
# The NAT of a conversation forgets everything and gives other ports: packets flow again within 5 s, first
# through a node, then straight, and TCP goes on.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/figures.sh"
. "$I3_TREE/tests/netns/nat/lib.sh"
begin 240
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
nat_host a 1 port-restricted
nat_host b 2 port-restricted
start_ring
keygen a b
write_proxy a know=b allow='<allow from="b"/>'
write_proxy b know=a allow='<allow from="a"/>'
start_proxy a b
start_nginx b
sum=$(big_file b file 40)
straight() { in_ns a ping -c 1 -W 1 b.i3 > /dev/null; [ "$(path_to a b)$(path_to b a)" = directdirect ]; }
wait_for 20 "the straight path" straight

gaps=()
for side in a b; do
  number=1
  [ $side = b ] && number=2
  outside=198.51.100.$((100 + number)) inside=192.168.$number.2
  port=$(overlay_port $side)
  spawn pings a ping -i 0.1 -D -n b.i3
  spawn load a sh -c "curl -sS --limit-rate 2M -m 100 http://b.i3/file | sha256sum | cut -d' ' -f1 > $WORK/sum-$side"
  wait_for 5 "pings before" grep -q 'icmp_seq=10 ' "$WORK/pings.log"
  reboot_nat r$side $outside $inside "$port" $((30000 + number * 100 + RANDOM % 90))
  
  before=$(grep -c 'bytes from' "$WORK/pings.log")
  more() { [ "$(grep -c 'bytes from' "$WORK/pings.log")" -gt $((before + 30)) ]; }
  wait_for 20 "pings after" more
  end pings INT
  gap=$(sed -n 's/^\[\([0-9.]*\)\].*bytes from.*/\1/p' "$WORK/pings.log" |
    awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%d", most * 1000 }')
  : > "$WORK/pings.log"
  gaps+=("$gap")
  within "ms without an answer when the NAT of $side reboots" 0 5000 "$gap"
  wait_for 20 "the straight path again" straight
  wait_for 60 "the download" ended load
  unset "PID[load]"
  same "the download that went on over it is whole" "$sum" "$(cat "$WORK/sum-$side")"
done
figure recover.nat_reboot_ms ms 5000 lower '{}' "${gaps[@]}"
