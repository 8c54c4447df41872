#!/bin/bash
# ftp by name in passive and in active mode: addresses travel inside the payload, so this works only
# because packets leave the tunnel with the addresses that they had when they went in.
. "$(dirname "$0")/../netns/lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
begin 140
home_network
start_ring
keygen a b
write_proxy a know=b allow='<allow from="b" protocol="tcp"/>'
write_proxy b know=a allow='<allow from="a"/>'
start_proxy a b
prepare_ftp
check_ftp_passive
check_ftp_passive_address
check_ftp_active
