#!/bin/bash
# ssh and scp between hosts behind NATs.
. "$(dirname "$0")/../netns/lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
begin 140
two_hosts
start_sshd b
check_ssh
