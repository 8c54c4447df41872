#!/bin/bash
# A middle-box and a gateway in one conversation, with unmodified programs: the log of a page of the
# intranet has client and machine, the gateway's rules are those of the client, and active ftp goes
# through both; by the client's wish and by the gateway's.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/gateway/lib.sh"
. "$I3_TREE/tests/netns/gateway/boxes.sh"
begin 140
one_node a g m
make_public m eth0 198.51.100.70/24
make_host a 1
make_intranet g 60 s
write_gateway g "a m" '<allow client="a" names="(www|four)\.corp\.example" protocol="tcp" ports="7,21,80"/>'
write_box know="a g" box="plugins=\"$WORK/m/inspect.sock\""
write_proxy a nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/>' \
  allow='<allow from="corp-gateway" protocol="tcp"/>'
know_gateway a corp-gateway g
sed -i 's|<gateway |<gateway middlebox="ids" |; s|</address-book>|<middlebox name="ids" key="'"${KEY[m]}"'"/></address-book>|' \
  "$WORK/a/book.xml"
start_gateway g
start_proxy a
start_box
spawn httplog m "$I3_BIN/i3-inspect-log" --socket "$WORK/m/inspect.sock"
wait_for 10 "the log" plugin_is_there log
start_nginx s 80
start_vsftpd s
spawn echo s socat TCP4-LISTEN:7,fork,reuseaddr EXEC:cat
echo 'a page' > "$WORK/s/www/page"
logged() { grep -qE -- "$1" "$WORK/httplog.log"; }

same "a page of the intranet comes through middle-box and gateway" "a page" \
  "$(in_ns a curl -4 -sS -m 20 http://www.corp.example/page)"
same "and over IPv6" "a page" "$(in_ns a curl -6 -sS -m 15 http://www.corp.example/page)"
wait_for 10 "the log of the page" logged '^%[0-9]+ GET /page$'
has "the log has the client's address and that of the machine behind the gateway" \
  "^[0-9]+\.[0-9]+ %[0-9]+ start $(field a ipv4 status) > $(addresses_of a www.corp.example A)$" "$(cat "$WORK/httplog.log")"
same "the gateway knows for whom the middle-box speaks" m \
  "$(ctl_gateway g --json peers | jq -r '.peers[] | select(.name == "a") | .middlebox')"
same "a name that no line gives to the client" REFUSED "$(rcode a other.corp.example)"
same "a port that no line gives refuses at once" 7 \
  "$(in_ns a sh -c 'curl -4 -s -m 5 http://www.corp.example:81/; echo $?')"

head -c 300k /dev/urandom > "$WORK/s/ftp/file"
chmod 444 "$WORK/s/ftp/file"
sum=$(sha256sum < "$WORK/s/ftp/file")
fetch() { in_ns a curl -4 -sS -m 20 "$@" ftp://four.corp.example/file | sha256sum; }
same "passive ftp" "$sum" "$(fetch)"
same "active ftp" "$sum" "$(fetch --disable-eprt --ftp-port -)"
wait_for 10 "the log of it" logged '#[0-9]+ RETR file'

# A connection that is open while the middle-box dies and loses all it knew.
spawn held a bash -c 'exec 3<>/dev/tcp/four.corp.example/7; for i in 1 2; do
  until [ -e "$0/go-$i" ]; do sleep 0.05; done; echo "line $i" >&3; read -r -u 3 line; echo "$line"; done' "$WORK"
touch "$WORK/go-1"
wait_for 10 "an open connection" grep -q 'line 1' "$WORK/held.log"
end box KILL
in_ns m find /var/lib/i3 -type f ! -name '*.key' -delete
start_box
touch "$WORK/go-2"
wait_for 30 "the open connection to go on through a middle-box that knew nothing" grep -q 'line 2' "$WORK/held.log"

# By the gateway's wish. The client's book says nothing of a middle-box.
sed -i 's|middlebox="ids" ||' "$WORK/a/book.xml"
check "a's wish is withdrawn" ctl a reload
sed -i 's|<i3-to-ip |<i3-to-ip middlebox="m" |' "$WORK/g/gateway.xml"
check "the gateway sends its clients through the middle-box" ctl_gateway g reload
same "a comes by it" "a page" "$(in_ns a curl -4 -sS -m 20 http://www.corp.example/page)"
same "i3-ctl peers shows it at a" ids "$(through_box a corp-gateway)"
passed=$(box_field passed)
same "pages pass it" "a page" "$(in_ns a curl -4 -sS -m 20 http://four.corp.example/page)"
within "all of them: packets" $((passed + 6)) 100000 "$(box_field passed)"
