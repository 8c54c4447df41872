#!/bin/bash
# Two hosts whose pools of virtual addresses differ: everything but active ftp works.
. "$(dirname "$0")/../netns/lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
begin 200
home_network
start_ring
keygen a b
write_proxy a know=b allow='<allow from="b"/>'
write_proxy b know=a allow='<allow from="a"/>' pool=10.77.0.0/16
start_proxy a b
start_nginx b
start_sshd b
prepare_ftp
start_nginx a 8080
has "a's own address is from the default pool" "^100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\." "$(address4 a a.i3)"
has "b's own address is from its own pool" "^10\.77\." "$(address4 b b.i3)"
check_download 20 file
check_parallel 20
check_ssh
check_ping
check_traceroute
check_udp
check_ftp_passive
same "and b reaches a" 200 "$(in_ns b curl -sS -m 5 -o /dev/null -w '%{http_code}' http://a.i3:8080/who)"
