#!/bin/bash
# Hosts move while they talk: either end and both at once get another address, a NAT forgets
# everything and maps to other ports, a host sleeps for longer than its triggers live. Pings at 50 a
# second tell how long packets stay out; a download and an ssh session outlive all of it.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 280
SHORTCUTS=${I3_SHORTCUTS:-no}
two_hosts shortcuts="$SHORTCUTS"
start_sshd b
in_ns a ping -c 3 -i 0.2 b.i3 > /dev/null

gap() {
  sed -n 's/^\[\([0-9.]*\)\].* time=.*/\1/p' "$WORK/$1.log" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%.0f", gap * 1000 }'
}
# during SECONDS COMMAND...: the longest gap of a ping from a to b while the command runs.
during() {
  local seconds=$1
  shift
  rm -f "$WORK/pinging.log"
  # Stopped in time: what waited while a slept is answered too, and ping would wait as long again.
  spawn pinging a timeout -s INT $((seconds * 6 / 5 + 3)) \
    ping -D -O -n -i 0.02 -c $((seconds * 50)) b.i3
  wait_for 5 "the first answers" grep -q "icmp_seq=50 .* time=" "$WORK/pinging.log"
  "$@"
  wait_gone "${PID[pinging]}" $((seconds + 20)) || fail "ping hangs"
  unset "PID[pinging]"
  GAP=$(gap pinging)
  grep -q "icmp_seq=$((seconds * 50 - 10)) .* time=" "$WORK/pinging.log" || GAP=99999
}
# The new address comes and the old one goes, as from one Wi-Fi to the next.
moves() {
  local host=$1 number=$2 last=$3
  in_ns "$host" ip addr flush dev eth0
  addresses "$host" eth0 "192.168.$number.$last/24"
  in_ns "$host" ip route replace default via "192.168.$number.1"
}
both_move() { moves a 1 "$1" & moves b 2 "$1"; wait $!; }
# The router starts anew: no mapping is left, and new ones get other ports.
nat_reboots() {
  in_ns "$1" nft flush chain ip nat post
  in_ns "$1" nft add rule ip nat post oifname wan meta l4proto udp masquerade to ":$2-$(($2 + 999))"
  in_ns "$1" nft add rule ip nat post oifname wan masquerade
  in_ns "$1" conntrack -F 2> /dev/null
}
# Both processes of the daemon stop for 40 s: all triggers run out meanwhile.
sleeps() {
  local host=$1 worker
  worker=$(worker_of "$host")
  kill -STOP "${PID[proxy-$host]}" "$worker"
  sleep 40
  WOKE=$(now_ms)
  kill -CONT "${PID[proxy-$host]}" "$worker"
}
# Time from waking to the first answer after it.
woke_after() {
  sed -n 's/^\[\([0-9.]*\)\].* time=.*/\1/p' "$WORK/pinging.log" |
    awk -v woke="$WOKE" '$1 * 1000 > woke { printf "%.0f", $1 * 1000 - woke; exit }'
}

spawn session a ssh $(ssh_options) b.i3 'for i in $(seq 900); do echo $i; sleep 0.1; done; echo end'
wait_for 10 "the session's first lines" grep -q 5 "$WORK/session.log"

moved=()
for who in a b; do
  number=1
  [ $who = b ] && number=2
  during 5 moves $who $number 77
  within "$who gets another address: packets out, ms" 0 1500 "$GAP"
  moved+=("$GAP")
done
during 6 both_move 99
within "both get another address at once: packets out, ms" 0 2500 "$GAP"
moved+=("$GAP")
figure recover.address_change_ms ms 1000 lower '{}' "${moved[@]}"

rebooted=()
base=20000
for router in rb ra; do
  base=$((base + 2000))
  during 10 nat_reboots $router $base
  within "the NAT $router reboots: packets out, ms" 0 5000 "$GAP"
  rebooted+=("$GAP")
done
figure recover.nat_reboot_ms ms 5000 lower '{}' "${rebooted[@]}"

slept=()
for who in b a; do
  during 48 sleeps $who
  after=$(woke_after)
  within "$who wakes after 40 s of sleep: packets flow again after, ms" 0 3000 "$after"
  slept+=("$after")
done
figure recover.sleep_ms ms 2000 lower '{}' "${slept[@]}"

wait_gone "${PID[session]}" 100 || fail "the ssh session hangs"
unset "PID[session]"
same "the ssh session went on through all of it" end "$(tail -n 1 "$WORK/session.log")"
same "and lost nothing" "$(seq 900; echo end)" "$(cat "$WORK/session.log")"
