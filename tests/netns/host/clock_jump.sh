#!/bin/bash
# Clocks jump while hosts talk: the time of day is set years ahead and decades back, a machine wakes
# after hours, nodes are set too, both ends at once in opposite directions. A download goes on through
# all of it, pings at 50 a second tell how long packets stay out, and who starts anew with a clock
# that was set back is heard. Each daemon's clocks are its own (shifted_clock.cc); programs keep the
# machine's.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/figures.sh"
begin 120
eval "$(declare -f spawn | sed '1s/spawn/spawn_plain/')"
spawn() {
  case $1 in
    proxy-* | node-*)
      set_clocks "$2" 0 0
      spawn_plain "$1" "$2" env "LD_PRELOAD=$I3_BIN/libi3-test-clock.so" "I3_TEST_CLOCKS=$WORK/clocks/$2" "${@:3}" ;;
    *) spawn_plain "$@" ;;
  esac
}
# set_clocks HOST REALTIME BOOTTIME: seconds ahead of the machine's.
declare -A REAL=() BOOT=()
set_clocks() {
  mkdir -p "$WORK/clocks"
  chmod 711 "$WORK" "$WORK/clocks"
  REAL[$1]=$((${REAL[$1]:-0} + $2)) BOOT[$1]=$((${BOOT[$1]:-0} + $3))
  python3 -c 'import struct, sys
data = struct.pack("=qq", int(sys.argv[2]) * 10**9, int(sys.argv[3]) * 10**9)
try: file = open(sys.argv[1], "r+b")
except FileNotFoundError: file = open(sys.argv[1], "wb")
with file: file.write(data)' "$WORK/clocks/$1" "${REAL[$1]}" "${BOOT[$1]}"
}
jumps() { grep -c "time_jumped why=.the $2" "$WORK/proxy-$1.log"; }
year=31557600

two_hosts shortcuts="${I3_SHORTCUTS:-no}"
start_nginx b
sum=$(big_file b big 60)
wait_for 10 "an answer" in_ns a ping -c 1 -W 1 b.i3
spawn download a sh -c 'curl -sS --limit-rate 2M -m 100 http://b.i3/big | sha256sum'

out=()
# during SENTENCE COMMAND...: the longest gap of a ping from a to b while the command runs.
during() {
  local what=$1 gap
  shift
  rm -f "$WORK/pinging.log"
  spawn pinging a ping -D -O -n -i 0.02 -c 150 b.i3
  wait_for 5 "the first answers" grep -q "icmp_seq=25 .* time=" "$WORK/pinging.log"
  "$@"
  wait_gone "${PID[pinging]}" 30 || fail "ping hangs"
  unset "PID[pinging]"
  gap=$(sed -n 's/^\[\([0-9.]*\)\].* time=.*/\1/p' "$WORK/pinging.log" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%.0f", gap * 1000 }')
  grep -q "icmp_seq=14[0-9] .* time=" "$WORK/pinging.log" || gap=99999
  within "$what: packets out, ms" 0 10000 "$gap"
  out+=("$gap")
}
nodes_ahead() { local n; for n in n1 n2 n3; do set_clocks $n "$1" 0; done; }
opposite() { set_clocks a -86400 0; set_clocks b 86400 0; }
both_wake() { set_clocks a 28800 28800; set_clocks b 3600 3600; }
during "a's clock is set ten years ahead" set_clocks a $((10 * year)) 0
same "it noticed that" 1 "$(jumps a 'clock was set')"
during "and forty years back" set_clocks a $((-40 * year)) 0
during "b wakes after eight hours" set_clocks b 28800 28800
same "it noticed that" 1 "$(jumps b 'machine slept')"
during "the nodes' clocks are set a year ahead" nodes_ahead $year
during "a and b are set a day apart" opposite
during "both wake, after unequal times" both_wake
figure recover.clock_jump_ms ms 10000 lower '{}' "${out[@]}"

# What is agreed between two runs hangs on the time of day: stamps of first messages.
end proxy-a
set_clocks a $((-5 * year)) 0
start_proxy a
check "who starts anew with its clock set back is answered" in_ns a ping -c 1 -W 8 b.i3
set_clocks b $((20 * year)) 0
end proxy-b
start_proxy b
wait_for 10 "an answer of b, which started anew years ahead" in_ns a ping -c 1 -W 2 b.i3
check "and another one at once" in_ns a ping -c 1 -W 2 b.i3
wait_gone "${PID[download]}" 100 || fail "the download hangs"
unset "PID[download]"
same "the download that ran through all of it is whole" "$sum  -" "$(cat "$WORK/download.log")"
