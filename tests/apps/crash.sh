#!/bin/bash
# The worker of i3-proxy dies in the middle of a download and of an ssh session: both finish.
. "$(dirname "$0")/../netns/lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
begin 260
two_hosts
start_nginx b
start_sshd b
sum=$(big_file b file 200)

# crash_of HOST: kills that host's worker when a fifth of the file is there and a session is open.
crash_of() {
  local host=$1 old file=$WORK/a/got-$1
  spawn "curl-$host" a curl -sS -m 100 --limit-rate 25M -o "$file" http://b.i3/file
  # Counts to 80, ten a second; a gap would show in the output.
  spawn "session-$host" a ssh $(ssh_options) b.i3 'for i in $(seq 80); do echo $i; sleep 0.1; done; echo end'
  wait_for 20 "a fifth of the file" is_over "$file" 40000000
  wait_for 10 "the session's first lines" grep -q 5 "$WORK/session-$host.log"
  old=$(worker_of "$host")
  parent=${PID[proxy-$host]}
  kill -9 "$old"
  wait_for 5 "a new worker on $host" has_new_worker "$host" "$old"
  check "the parent on $host stayed" kill -0 "$parent"
  check "the download was still going on" runs "curl-$host"
  check "the session was still going on" runs "session-$host"
  wait_gone "${PID[curl-$host]}" 60 || fail "the download hangs after the worker on $host was killed"
  same "the download survived the death of $host's worker" "$sum" "$(sha256sum < "$file" | cut -d' ' -f1)"
  wait_gone "${PID[session-$host]}" 30 || fail "the ssh session hangs after the worker on $host was killed"
  same "the ssh session survived it" "$(seq 80; echo end)" "$(cat "$WORK/session-$host.log")"
}
has_new_worker() { local now; now=$(worker_of "$1"); [ -n "$now" ] && [ "$now" != "$2" ]; }
is_over() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }

crash_of b
crash_of a
same "names still resolve after it" "$(address4 a b.i3)" "$(in_ns a getent ahostsv4 b.i3 | awk 'NR==1 { print $1 }')"
