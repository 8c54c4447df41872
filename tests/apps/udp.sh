#!/bin/bash
# UDP in both directions between hosts behind NATs.
. "$(dirname "$0")/../netns/lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
begin 140
two_hosts
check_udp
