#!/bin/bash
# Where the time of bulk goes: iperf3 straight between two hosts, a profile of both proxies, a flame
# graph and the shares by module. Usage: profile.sh [FILE.svg]     Needs perf (linux-perf).
. "$(dirname "$0")/../../netns/lib.sh"
begin 120
svg=${1:-$I3_BIN/../profile.svg}
command -v perf > /dev/null || { say "skipped: no perf"; exit 77; }
. "$(dirname "$0")/pair.sh"
spawn iperf q iperf3 -s
start_pair
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
