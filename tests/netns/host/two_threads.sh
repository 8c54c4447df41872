#!/bin/bash
# The second thread of a data path: bytes and their order are the same, it comes and goes under load,
# and the daemon ends as fast with it.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 110
two_hosts shortcuts=yes threads=2
start_nginx a
start_nginx b
allow_back() { sed -i 's|<inbound>|<inbound><allow from="b"/>|' "$WORK/a/proxy.xml" && ctl a reload; }
check "the other direction is let in" allow_back
threads() { field "$1" tun.threads status; }
has_threads() { [ "$(threads "$1")" = "$2" ]; }
same "the settings ask for two" "2 2" "$(threads a) $(threads b)"
has "i3-ctl status says so" 'two threads' "$(ctl a status)"
has "and the metrics" '^i3_proxy_threads 2$' "$(ctl a metrics)"
same "the worker has a second thread" 2 "$(ls "/proc/$(worker_of a)/task" | wc -l)"

# sums NAME FROM TO: of a file that goes there.
a_sum=$(big_file a file 150)
b_sum=$(big_file b file 150)
fetch() { in_ns "$1" curl -"$3" -sS -m 60 ${4:-} "http://$2.i3/file" | sha256sum | cut -d' ' -f1 > "$WORK/$1-got"; }
both_ways() {
  fetch a b "$1" &
  local other=$!
  fetch b a "$1"
  wait "$other"
  echo "$(cat "$WORK/a-got") $(cat "$WORK/b-got")"
}
same "150 MB each way at once arrive unchanged" "$b_sum $a_sum" "$(both_ways 4)"
same "and over IPv6" "$b_sum $a_sum" "$(both_ways 6)"
check "a small packet still gets its answer" in_ns a ping -c 5 -i 0.1 -W 2 b.i3

# ---- datagrams: their order
spawn iperf b iperf3 -s
wait_for 10 "iperf3" in_ns a timeout 2 socat -u OPEN:/dev/null TCP:b.i3:5201
same "datagrams keep their order" 0 \
  "$(in_ns a iperf3 -J -c b.i3 -u -b 150M -l 1200 -t 2 | jq '[.end.streams[].udp.out_of_order] | add')"

# ---- threads that come and go while bytes flow
set_threads() {
  sed -i "s|threads=\"[a-z0-9]*\"|threads=\"$2\"|" "$WORK/$1/proxy.xml" && ctl "$1" reload > /dev/null
}
# Slower than it could be, so that it outlives all of that.
fetch a b 4 "--limit-rate 40M" &
transfer=$!
for round in 1 2 3 4; do
  for count in 1 2; do
    for host in a b; do set_threads $host $count || fail "reload with $count threads"; done
    same "round $round: as many as the settings say" "$count $count" "$(threads a) $(threads b)"
  done
done
check "the transfer still goes on" kill -0 "$transfer"
wait "$transfer"
same "150 MB while threads come and go" "$b_sum" "$(cat "$WORK/a-got")"
for host in a b; do set_threads $host auto; done
wait_for 20 "one thread where one is enough" has_threads a 1
wait_for 20 "one thread where one is enough" has_threads b 1
has "a number that is none is refused" 'proxy.xml:[0-9]+:[0-9]+: .*threads' "$(set_threads a 3; ctl a reload 2>&1)"

# ---- the end, in the middle
for host in a b; do set_threads $host 2; done
spawn load a curl -sS -o /dev/null "http://b.i3/file?[1-99]"
moves() { [ "$(field a 'peers[0].rx_bytes' peers)" -gt "${1:-0}" ]; }
wait_for 10 "the load" moves $(($(field a 'peers[0].rx_bytes' peers) + 20000000))
check "it goes on" runs load
end proxy-a
same "the end is clean under load" 0 "$STATUS"
end proxy-b
same "and at the other side" 0 "$STATUS"
