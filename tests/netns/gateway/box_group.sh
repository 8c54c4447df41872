#!/bin/bash
# Two middle-boxes stand for one name: connections go on through the other one when the first is
# killed, by the client's wish and by the server's.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/gateway/boxes.sh"
begin 140
home_network
make_public m eth0 198.51.100.60/24
make_public o eth0 198.51.100.61/24
start_ring
keygen a b m o ids
group="<group name=\"ids\" key=\"${KEY[ids]}\"/>"
for box in m o; do
  BOX=$box write_box know="a b"
  token=$("$I3_BIN/i3-ctl" group delegate "$WORK/ids.key" "${KEY[$box]}")
  sed -i "s|</i3-gateway>|<member delegation=\"$token\"/></i3-gateway>|" "$WORK/$box/gateway.xml"
  BOX=$box start_box
done
stands() { [ "$(BOX=$1 box_ctl --json status | jq -r '.member_of[0].stands')" = true ]; }
for box in m o; do wait_for 15 "$box to stand for the group" stands $box; done
write_proxy a know=b
sed -i "s|name=\"b\"|name=\"b\" middlebox=\"ids\"|; s|</address-book>|$group</address-book>|" "$WORK/a/book.xml"
write_proxy b know=a allow='<allow from="a"/>'
start_proxy a b
start_nginx b
spawn echo b socat TCP4-LISTEN:7,fork,reuseaddr EXEC:cat
echo 'a page' > "$WORK/b/www/page"
page() { in_ns a curl -4 -sS -m "${1:-15}" http://b.i3/page; }
# in_use: the one of m and o that a's conversation with b goes through.
in_use() {
  local key
  key=$(through_box a b)
  for box in m o; do [ "$key" = "${KEY[$box]}" ] && echo $box; done
}
other_than() { [ "$1" = m ] && echo o || echo m; }
kill_box() {
  kill -9 "$(pgrep -P "${PID[box-$1]}" | head -n 1)" "${PID[box-$1]}"
  unset "PID[box-$1]"
}

same "a page comes through one of the group" "a page" "$(page)"
first=$(in_use)
has "which one i3-ctl peers says" '^[mo]$' "$first"
same "that one has the conversation" 1 "$(BOX=$first box_field conversations)"
same "and the other one none" 0 "$(BOX=$(other_than "$first") box_field conversations)"

# A connection that outlives its middle-box.
spawn held a bash -c 'exec 3<>/dev/tcp/b.i3/7; for i in 1 2; do
  until [ -e "$0/go-$i" ]; do sleep 0.05; done; echo "line $i" >&3; read -r -u 3 line; echo "$line"; done' "$WORK"
touch "$WORK/go-1"
wait_for 10 "an open connection" grep -q 'line 1' "$WORK/held.log"
kill_box "$first"
touch "$WORK/go-2"
before=$(now_ms)
wait_for 20 "the open connection to go on" grep -q 'line 2' "$WORK/held.log"
say "it went on $(($(now_ms) - before)) ms after the middle-box was killed"
same "through the other one" "$(other_than "$first")" "$(in_use)"
same "new ones too" "a page" "$(page)"

# By the server's wish: the client knows nothing of the group.
BOX=$first start_box
wait_for 15 "$first to stand again" stands "$first"
end proxy-a
forget a
write_proxy a know=b
start_proxy a
sed -i "s|</address-book>|$group</address-book>|" "$WORK/b/book.xml"
sed -i "s|<inbound>|<inbound middlebox=\"ids\">|" "$WORK/b/proxy.xml"
check "b sends everybody through the group" ctl b reload
same "a comes by a member" "a page" "$(page 20)"
first=$(in_use)
has "as i3-ctl peers says" '^[mo]$' "$first"
kill_box "$first"
before=$(now_ms)
comes() { [ "$(page 3 2> /dev/null)" = "a page" ]; }
wait_for 25 "pages through the other one" comes
say "it went on $(($(now_ms) - before)) ms after the middle-box was killed"
same "which is the other one" "$(other_than "$first")" "$(in_use)"
kill_box "$(other_than "$first")"
refuse "without any of them nothing arrives" page 8
