#!/bin/bash
# However i3-proxy ends, the host is as it was before: asked to end, killed, killed with its worker.
. "$(dirname "$0")/../lib.sh"
begin 140
home_network
start_ring
keygen a b
write_proxy a know=b allow='<allow from="b"/>'
dump_state a "$WORK/before"
back_to_before() { dump_state a "$WORK/now" && same_state "$WORK/before" "$WORK/now"; }
no_process_of_ours() { ! in_ns a pgrep -f "^$I3_BIN/i3-proxy.*$WORK/a/" ; }
resolves_outside() { [ "$(in_ns a getent ahostsv4 other.example | awk 'NR == 1 { print $1 }')" = 198.51.100.77 ]; }

start_proxy a
refuse "while it runs, the host is different" back_to_before
check "the resolver's file is not touched" in_ns a grep -q 198.51.100.1 /etc/resolv.conf
worker=$(worker_of a)
has "the worker has no capability at all" "^CapEff:.0000000000000000$" "$(grep CapEff "/proc/$worker/status")"
has "and can get none" "^CapPrm:.0000000000000000$" "$(grep CapPrm "/proc/$worker/status")"
start=$(now_ms)
end proxy-a TERM 5
within "SIGTERM ends it: seconds" 0 5 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
same "with exit code 0" 0 "$STATUS"
check "SIGTERM: addresses, routes, rules, tables, resolver as before" back_to_before
check "no process is left" no_process_of_ours
check "names outside resolve" resolves_outside

start_proxy a
kill -9 "$(worker_of a)" "${PID[proxy-a]}"
wait_gone "${PID[proxy-a]}" 2 || fail "the parent is still there after kill -9"
unset "PID[proxy-a]"
wait_for 1 "the kernel to remove everything" back_to_before
check "parent and worker killed: everything as before, at once" back_to_before
check "names outside resolve at once" resolves_outside

start_proxy a
check "it starts again after that" is_ready a
worker=$(worker_of a)
kill -9 "${PID[proxy-a]}"
wait_for 5 "the worker to end with its parent" wait_gone "$worker" 1
unset "PID[proxy-a]"
wait_for 1 "the kernel to remove everything" back_to_before
check "the parent alone killed: everything as before" back_to_before
check "--cleanup after that finds nothing that it cannot remove" in_ns a "$I3_BIN/i3-proxy" --cleanup --config "$WORK/a/proxy.xml"
check "and the host is as before" back_to_before

start_proxy a
end proxy-a INT 5
check "Ctrl-C: everything as before" back_to_before
