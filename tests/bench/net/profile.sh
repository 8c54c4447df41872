#!/bin/bash
# Where the time of bulk goes: iperf3 straight between two hosts, a profile of both proxies, a flame
# graph and the shares by module. Usage: profile.sh [FILE.svg]     Needs perf (linux-perf).
. "$(dirname "$0")/../../netns/lib.sh"
begin 120
svg=${1:-$I3_BIN/../profile.svg}
command -v perf > /dev/null || { say "skipped: no perf"; exit 77; }
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
make_public p eth0 198.51.100.50/24
make_public q eth0 198.51.100.51/24
keygen n1 p q
start_node n1
spawn iperf q iperf3 -s
write_proxy p know=q nodes=n1 allow='<allow from="q"/>' shortcuts=yes
write_proxy q know=p nodes=n1 allow='<allow from="p"/>' shortcuts=yes
start_proxy p q
straight() { in_ns p ping -c 1 -W 1 q.i3; [ "$(ctl p --json peers | jq -r '.peers[] | select(.name == "q") | .path')" = direct ]; }
wait_for 20 "a straight path" straight
to=$(address4 p q.i3)
wait_for 10 "iperf3" in_ns p timeout 2 socat -u OPEN:/dev/null "TCP:$to:5201"
spawn client p iperf3 --forceflush -c "$to" -t 8
wait_for 5 "the bulk" grep -q ' sec ' "$WORK/client.log"
perf record -q -F 1999 -g -e cpu-clock -p "$(worker_of p),$(worker_of q)" -o "$WORK/perf.data" -- sleep 5 > /dev/null 2>&1 ||
  fail "perf recorded nothing"
perf script -i "$WORK/perf.data" 2> /dev/null | "$(dirname "$0")/flame.py" "i3-proxy, one TCP stream, both ends" > "$svg" ||
  fail "no flame graph"
perf report -i "$WORK/perf.data" --no-children -g none --sort dso 2> /dev/null | awk '/%/ { print $1, $2 }' | head -n 6
say "flame graph: $svg"
