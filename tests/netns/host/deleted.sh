#!/bin/bash
# Somebody deletes the interface of a running daemon: it says so and ends, with nothing left behind,
# instead of turning in circles around a device that is no more.
. "$(dirname "$0")/../lib.sh"
begin 50
make_internet
make_public p eth0 198.51.100.50/24
dump_state p "$WORK/before"
spawn proxy-p p "$I3_BIN/i3-proxy"
wait_for 15 "the daemon" is_ready p
in_ns p ip link del i3 || fail "the interface cannot be deleted"
wait_gone "${PID[proxy-p]}" 5 || fail "the daemon goes on without its interface"
wait "${PID[proxy-p]}"
same "it ends as failed" 1 $?
unset "PID[proxy-p]"
has "and says what happened" "network interface of this daemon was deleted" "$(cat "$WORK/proxy-p.log")"
dump_state p "$WORK/after"
check "the host is as before" same_state "$WORK/before" "$WORK/after"
spawn proxy-p p "$I3_BIN/i3-proxy"
wait_for 15 "the daemon again" is_ready p
check "started again it works" in_ns p ping -c 1 -W 2 "$(field p key status).i3"
