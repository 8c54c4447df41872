#!/bin/bash
# Two gateways stand for one name: unmodified programs reach the intranet through the one that is
# preferred, and through the other one at once when that is killed. What DNS said stays true.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_node a g h corp
make_host a 1
# The same names and addresses behind both, so that a page says which way it came.
make_intranet g 60 s
make_intranet h 61 t
for gateway in g h; do
  write_gateway $gateway a '<allow client="a"/>'
  suffix=$([ $gateway = g ] && echo a1 || echo 40)
  token=$("$I3_BIN/i3-ctl" group delegate "$WORK/corp.key" "${KEY[$gateway]}" --suffix "$suffix")
  sed -i "s|</i3-gateway>|<member delegation=\"$token\"/></i3-gateway>|" "$WORK/$gateway/gateway.xml"
  start_gateway $gateway
done
write_proxy a nodes=n1
sed -i "s|</address-book>|<group name=\"corp\" key=\"${KEY[corp]}\" prefer=\"a1\"/></address-book>|" "$WORK/a/book.xml"
sed -i 's|<inbound>|<policy><route suffix="corp.example" via="corp"/></policy><inbound>|' "$WORK/a/proxy.xml"
start_proxy a
stands() { [ "$(ctl_gateway "$1" --json status | jq -r '.member_of[0].stands')" = true ]; }
for gateway in g h; do wait_for 15 "$gateway to stand for the group" stands $gateway; done
start_nginx s 80
start_nginx t 80
echo "by g" > "$WORK/s/www/page"
echo "by h" > "$WORK/t/www/page"
page() { in_ns a curl -sS -m "${2:-8}" "${@:3}" "http://${1:-www.corp.example}/page"; }

same "a page comes through the gateway that is preferred" "by g" "$(page www.corp.example 15 -4)"
same "over IPv6 too" "by g" "$(page www.corp.example 8 -6)"
address=$(addresses_of a www.corp.example A)
same "the address bears the name" www.corp.example. "$(in_ns a dig +short -x "$address")"
same "a machine without a name, by the group's own" "by g" "$(page 10-1-0-11.corp.i3 8 -4)"
same "an address that no line gives" REFUSED "$(rcode a loop.corp.example)"
same "a name that does not exist" NXDOMAIN "$(rcode a nobody.corp.example)"
same "names says through which group" corp \
  "$(ctl a --json names | jq -r '.names[] | select(.name == "www.corp.example" and .key == "'"${KEY[corp]}"'") | .via')"
same "status names both gateways" 2 "$(ctl a --json status | jq '.groups[] | select(.name == "corp") | .members | length')"

# An open connection through g, idle.
spawn hold a bash -c 'exec 3<>/dev/tcp/www.corp.example/80 && echo open; cat <&3; echo "ended with $?"'
wait_for 5 "an open connection" grep -q open "$WORK/hold.log"
kill -9 "$(gateway_worker g)" "${PID[gateway-g]}"
unset "PID[gateway-g]"
before=$(now_ms)
same "g is killed: the next page comes through h" "by h" "$(page www.corp.example 8 -4)"
within "at once (ms)" 0 4000 $(($(now_ms) - before))
same "the name has the same address" "$address" "$(addresses_of a www.corp.example A)"
same "a name that only g was asked for before is good at h, without another question to DNS" "by h" \
  "$(page www.corp.example 8 -6)"
same "a new name" "by h" "$(page four.corp.example 8 -4)"
hold_ended() { grep -q 'ended with' "$WORK/hold.log"; }
wait_for 20 "the open connection to end" hold_ended
has "its program hears a reset" 'Connection reset' "$(cat "$WORK/hold.log")"

end proxy-a
start_proxy a
same "after a restart of the client's daemon the address goes on to be good" "by h" \
  "$(page www.corp.example 8 -4 --resolve "www.corp.example:80:$address")"
end gateway-h
same "nobody is left" SERVFAIL "$(rcode a six.corp.example)"
start_gateway g
wait_for 15 "g to stand again" stands g
answers() { [ "$(page www.corp.example 3 -4 2> /dev/null)" = "by g" ]; }
wait_for 15 "g to serve again" answers
