#!/bin/bash
# An anycast name: three web servers stand for cdn.i3, each behind a NAT of its own. Unmodified
# programs reach the preferred one, and the next one as soon as that one's daemon is killed; an open
# connection to the dead one is reset. Who has no delegation is no member.
. "$(dirname "$0")/../lib.sh"
begin 110
home_network
make_host c 3
make_host d 4
start_ring
keygen a b c d cdn
token() { "$I3_BIN/i3-ctl" group delegate "$WORK/cdn.key" "${KEY[$1]}" --suffix "$2"; }
B=$(token b a1) C=$(token c a2) D=$(token d 40)
group() { printf '<group name="cdn" key="%s" mode="anycast" prefer="%s"/>' "${KEY[cdn]}" "$1"; }
write_proxy a know=
sed -i "s|</address-book>|$(group a1)</address-book>|" "$WORK/a/book.xml"
write_proxy b allow='<allow from="*"/>' more="<member delegation=\"$B\"/>"
write_proxy c allow='<allow from="*"/>' more="<member delegation=\"$C\"/>"
write_proxy d allow='<allow from="*"/>' more="<member delegation=\"$D\"/>"
start_proxy a b c d
for h in b c d; do
  in_ns $h sh -c "mkdir -p /run/www && echo $h > /run/www/who"
  spawn "web-$h" $h python3 -m http.server --bind :: --directory /run/www 80
done
for h in b c d; do wait_for 20 "the web server of $h" in_ns $h curl -s -m 1 -o /dev/null http://127.0.0.1/who; done
stands() { [ "$(field "$1" 'member_of[0].stands' status)" = true ]; }
for h in b c d; do wait_for 15 "$h to stand for the group" stands $h; done
who() { in_ns a curl -sS -m "${1:-8}" "${@:2}" http://cdn.i3/who; }

same "the token says what it is" "${KEY[b]} a1" \
  "$("$I3_BIN/i3-ctl" --json group show "$B" | jq -r '.member + " " + .suffix')"
lacks "groups are supported" "not supported" "$(ctl a status)"
same "the name goes to the member with the suffix that is preferred" b "$(who 8 -4)"
same "over IPv6 too" b "$(who 8 -6)"
address=$(address4 a cdn)
same "the name's address is its own, and stays" "$address" "$(in_ns a dig +short cdn.i3 A)"
same "its reverse is the name" cdn.i3. "$(in_ns a dig +short -x "$address")"
refuse "it is not the member's" test "$address" = "$(address4 a "${KEY[b]}.i3")"
has "ping is answered from that address" "from (cdn.i3 \()?$address" "$(in_ns a ping -4 -n -c 2 -i 0.2 -W 3 cdn.i3)"
same "peers says for whom b stands" cdn "$(ctl a --json peers | jq -r --arg k "${KEY[b]}" '.peers[] | select(.key == $k) | .stands_for[0]')"
same "names says who stands for it" "${KEY[b]}" "$(ctl a --json names | jq -r '.names[] | select(.kind == "group") | .member')"
has "i3-ctl ping goes to the member" '^[1-9]' "$(ctl a --json ping cdn -c 1 | jq .received)"
has "triggers shows the place in the group" group "$(ctl b --json triggers | jq -r '.triggers[].kind' | sort -u | tr '\n' ' ')"

# An open connection to b, idle.
spawn hold a bash -c 'exec 3<>/dev/tcp/cdn.i3/80 && echo open; cat <&3; echo "ended with $?"'
wait_for 5 "an open connection" grep -q open "$WORK/hold.log"
kill -9 "$(worker_of b)" "${PID[proxy-b]}"
unset "PID[proxy-b]"
before=$(now_ms)
same "b is killed: the next best answers" c "$(who 8 -4)"
within "at once (ms)" 0 3000 $(($(now_ms) - before))
hold_ended() { grep -q 'ended with' "$WORK/hold.log"; }
wait_for 15 "the open connection to end" hold_ended
has "the program of the open connection hears a reset" 'Connection reset' "$(cat "$WORK/hold.log")"
say "reset $(($(now_ms) - before)) ms after the kill"
same "the address is still the same" "$address" "$(address4 a cdn)"

end proxy-c
same "c stops in order: the last one answers" d "$(who 8 -4)"
end proxy-d
refuse "nobody is left: the program hears it" who 8 -4
start_proxy c
wait_for 15 "c to stand again" stands c
answers() { [ "$(who 2 -4)" = "$1" ]; }
wait_for 10 "c to answer again" answers c
say "metrics: $(ctl a --json metrics | jq -r .text | grep -c anycast_total) counters"

# What the group did not sign.
keygen forged
bad=$("$I3_BIN/i3-ctl" group delegate "$WORK/forged.key" "${KEY[d]}")
write_proxy d allow='<allow from="*"/>' more="<member group=\"${KEY[cdn]}\" delegation=\"$bad\"/>"
has "a token of another group is refused with its place" 'proxy.xml:[0-9]+:[0-9]+: delegation=.*is a word of the group' \
  "$("$I3_BIN/i3-proxy" --config "$WORK/d/proxy.xml" --check-config 2>&1)"
write_proxy d allow='<allow from="*"/>' more="<member delegation=\"$C\"/>"
start_proxy d
has "a token for another host is named in status" "is for another host, ${KEY[c]}" "$(ctl d status)"
same "and makes no member" 0 "$(ctl d --json status | jq '.member_of | length')"
