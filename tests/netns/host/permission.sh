#!/bin/bash
# Naming is not permission: only <allow> lets anybody in, to the ports that it names; replies to a
# host's own connections always pass, also after its daemon was started again.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 170
home_network
make_public p eth0 198.51.100.50/24 2001:db8:1::50/64
start_ring
keygen a b p
write_proxy a know="b p"
write_proxy b know="a p"
write_proxy p know="a b"
start_proxy a b p
start_nginx b 80 8080
start_nginx a 80
code() { in_ns "$1" curl -4 -s -m "${3:-12}" -o /dev/null -w '%{http_code}' "http://$2"; }
# seconds_until_failure HOST NAME: how long curl there needs to find out by itself.
seconds_until_failure() {
  local start
  start=$(now_ms)
  in_ns "$1" curl -4 -s -m 15 -o /dev/null "http://$2/who"
  awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }'
}
write_proxy b know=p
check "b forgets a" ctl b reload
within "somebody whom b does not even know hears nothing, and his own side says so: seconds" 0 12 "$(seconds_until_failure a b.i3)"
write_proxy b know="a p"
check "b knows a again, and lets nobody in" ctl b reload
refuse "nobody is let in without <allow>, though both books know each other" code a b.i3/who
refuse "not by ping either" in_ns a ping -c 2 -W 3 b.i3
refuse "not by UDP either" in_ns a sh -c "echo x | socat -t 2 -T 2 - UDP4:b.i3:7 | grep x"
refuse "and not by IPv6" in_ns a curl -6 -s -m 12 -o /dev/null http://b.i3/who
within "somebody whom b knows but does not allow finds out by himself, too: seconds" 0 12 "$(seconds_until_failure a b.i3)"

allow_in_file() { write_proxy b know="a p" allow="$1"; ctl b reload; }
check "an <allow> is added and the file read again" allow_in_file '<allow from="a" protocol="tcp" ports="80,9000-9010"/>'
wait_for 5 "a to be let in" code a b.i3/who
same "the allowed port is open" 200 "$(code a b.i3/who)"
start=$(now_ms)
refuse "another port is not" code a b.i3:8080/who
within "and that is said at once: seconds" 0 2 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
out=$(in_ns a curl -4 -sv -m 5 "http://b.i3:8080/who" 2>&1)
has "with a refusal" "refused|prohibited|No route|unreachable" "$out"
refuse "ping is not allowed by a TCP rule" in_ns a ping -c 1 -W 2 b.i3
refuse "a third host is still not let in" code p b.i3/who
refuse "b may not use a, which allows nobody" code b a.i3/who
same "an allowed port where nobody listens refuses as usual" 7 \
  "$(in_ns a sh -c 'curl -4 -s -m 5 http://b.i3:9005/; echo $?')"

check "ctl allows a key and a port" ctl b allow "${KEY[p]}" --ports 8080
wait_for 5 "p to be let in" code p b.i3:8080/who
refuse "only to that port" code p b.i3/who
check "everybody may be allowed" allow_in_file '<allow from="*" protocol="icmp"/>'
wait_for 5 "ping from p" in_ns p ping -c 1 -W 1 b.i3
check "ping from a" in_ns a ping -c 1 -W 3 b.i3
refuse "taking an <allow> away closes the port" code a b.i3/who

# Replies: a lets nobody in, opens a connection to b, and both daemons are started again in between.
check "a may use b" allow_in_file '<allow from="a"/>'
wait_for 5 "a to be let in" code a b.i3/who
big_file b file 40 > "$WORK/sum"
spawn long a curl -sS -m 60 --limit-rate 8M -o "$WORK/a/long" http://b.i3/file
wait_for 10 "the first megabytes" test -s "$WORK/a/long"
end proxy-a
start_proxy a
check "the connection is still open" runs long
wait_gone "${PID[long]}" 40 || fail "the connection hangs after a's restart"
same "replies pass after a restart of the daemon" "$(cat "$WORK/sum")" "$(sha256sum < "$WORK/a/long" | cut -d' ' -f1)"
