#!/bin/bash
# A middle-box by the server's wish, with the plug-ins that come with it: an upload of a file called
# eggdrop is caught, pages and commands are logged as in the paper's Figure 10, an alert arrives at an
# unmodified program, and nobody walks round.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/gateway/boxes.sh"
begin 140
box_world
write_proxy a know=b
write_proxy b know="a m" allow='<allow from="a"/><allow from="m" protocol="udp" ports="514"/>'
start_proxy a b
start_nginx b
echo 'a page' > "$WORK/b/www/page"
same "without a middle-box a is there straight" "a page" "$(in_ns a curl -4 -sS -m 15 http://b.i3/page)"

write_box know=b box="plugins=\"$WORK/m/inspect.sock\" alert=\"b\"" inside='<plugin name="filter"/>'
start_box
echo 'backdoor drop tcp 21 "STOR eggdrop"' > "$WORK/signatures"
spawn filter m "$I3_BIN/i3-inspect-filter" --socket "$WORK/m/inspect.sock" --signatures "$WORK/signatures"
spawn httplog m "$I3_BIN/i3-inspect-log" --socket "$WORK/m/inspect.sock"
wait_for 10 "the filter" plugin_is_there filter
wait_for 10 "the log" plugin_is_there log

sed -i "s|<inbound>|<inbound middlebox=\"m\">|" "$WORK/b/proxy.xml"
check "b sends everybody through the middle-box from now on" ctl b reload
same "a, which knows nothing of it, comes by it" "a page" "$(in_ns a curl -4 -sS -m 20 http://b.i3/page)"
same "i3-ctl peers shows it at a" "${KEY[m]}" "$(through_box a b)"
same "and at b" m "$(through_box b a)"
same "b's rules and programs see a" "$(field a ipv4 status)" "$(in_ns a curl -4 -sS -m 15 http://b.i3/who)"
logged() { grep -qE -- "$1" "$WORK/httplog.log"; }
wait_for 10 "the log of the page" logged '^%[0-9]+ GET /page$'
# The box does not know a: there it has an address as every stranger.
has "the log names both ends" \
  "^[0-9]+\.[0-9]+ %[0-9]+ start 100\.[0-9.]+ > $(field b ipv4 status)$" "$(cat "$WORK/httplog.log")"

# ftp, with a server that takes uploads.
start_vsftpd b
spawn syslog b socat -u UDP4-RECV:514 "OPEN:$WORK/alerts,creat,append"
head -c 20000 /dev/urandom > "$WORK/eggdrop"
in_ns a curl -sS -m 20 -T "$WORK/eggdrop" ftp://b.i3/harmless > /dev/null 2>&1
wait_for 10 "the log of an upload" logged '#[0-9]+ STOR harmless'
refuse "an upload of a file called eggdrop is cut off" in_ns a curl -sS -m 6 -T "$WORK/eggdrop" ftp://b.i3/eggdrop
has "the filter says so" '^backdoor dropped: .*/21 \(.* > b\)$' "$(cat "$WORK/filter.log")"
arrived() { grep -q 'i3-gateway - filter - backdoor dropped' "$WORK/alerts"; }
wait_for 15 "the alert at b's syslog" arrived
same "other commands still pass" "a page" "$(in_ns a curl -4 -sS -m 15 http://b.i3/page)"

# Round the box: a forgets what it was told, and its packets to b directly reach nothing.
forward() { ctl b metrics | awk '/verdict="redirected"/ { print $2 }'; }
before=$(forward)
end proxy-a
forget a
start_proxy a
same "a, started anew, comes by the middle-box again" "a page" "$(in_ns a curl -4 -sS -m 20 http://b.i3/page)"
within "its first message to b was answered with the redirect alone" $((before + 1)) 100000 "$(forward)"

end filter KILL
refuse "without the filter that the settings demand nothing passes" in_ns a curl -4 -sS -m 5 http://b.i3/page
has "status says why" 'plug-in filter is not connected' "$(box_ctl status)"
spawn filter m "$I3_BIN/i3-inspect-filter" --socket "$WORK/m/inspect.sock" --signatures "$WORK/signatures"
wait_for 10 "the filter again" plugin_is_there filter
same "with it all passes again" "a page" "$(in_ns a curl -4 -sS -m 20 http://b.i3/page)"
