#!/bin/bash
# A web server behind one NAT, curl behind another: bytes arrive unchanged, alone and in parallel.
. "$(dirname "$0")/../netns/lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
begin 260
two_hosts
start_nginx b
check_download 200 file
check_parallel 50
same "the server sees the client's virtual address" "$(address4 a a.i3)" "$(in_ns a curl -4 -sS -m 5 http://b.i3/who)"
