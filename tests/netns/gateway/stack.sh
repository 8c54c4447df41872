#!/bin/bash
# A box that passes sealed packets on, by the client's wish and then by the server's, between unmodified
# programs: both directions go by it, it reads nothing, its rate is a bound, nothing goes round it.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/netns/gateway/boxes.sh"
begin 140
box_world
make_public p eth0 198.51.100.50/24
keygen p
write_proxy a know="b p"
wants_stack a b
write_proxy b know="a p" allow='<allow from="a"/><allow from="p"/>'
write_proxy p know="a b" allow='<allow from="a"/>'
wants_stack p b
write_relay know=a relay='rate="20Mbit"'
start_proxy a b p
start_relay
start_nginx b
start_nginx p
secret=the-words-of-$RUN
echo "$secret" > "$WORK/b/www/page"
sum=$(big_file b big 4)
big_file p big 4 > "$WORK/sum-of-p"
# Everything that comes to b's router straight from a's, or the other way: it must be nothing.
for router in ra:102 rb:101; do
  in_ns "${router%:*}" nft -f - <<NFT || fail "the counter"
table netdev straight {
  chain look { type filter hook ingress device "wan" priority 0; ip saddr 198.51.100.${router#*:} counter; }
}
NFT
done
straight() {
  for router in ra rb; do in_ns "$router" nft -j list table netdev straight; done |
    jq -s '[.. | .counter? // empty | .packets] | add'
}
spawn capture m tcpdump -i eth0 -n -U --immediate-mode -s 0 -w "$WORK/box.pcap"
wait_for 10 "the capture" grep -q "listening on" "$WORK/capture.log"

same "a page comes by the box" "$secret" "$(in_ns a curl -4 -sS -m 15 http://b.i3/page)"
same "and over IPv6" "$secret" "$(in_ns a curl -6 -sS -m 15 http://b.i3/page)"
same "the server sees the client's own virtual address" "$(field a ipv4 status)" \
  "$(in_ns a curl -4 -sS -m 15 http://b.i3/who)"
same "i3-ctl peers shows the box at the client" "relay m" "$(path_of a b) $(via_of a b)"
same "and at the server, which did not ask for it" relay "$(path_of b a)"
same "the sessions are with each other" null "$(ctl a --json peers | jq -r '.peers[] | select(.name == "b") | .middlebox')"
same "and the box has none at all" 0 "$(box_ctl --json peers | jq '.peers | length')"
has "i3-ctl ping goes by it" relay "$(ctl a --json ping b -c 2)"
check "ping goes by it" in_ns a ping -4 -c 2 -W 3 b.i3
has "ping with the largest payload that fits" " 1 received" "$(in_ns a ping -4 -M do -s 1300 -c 1 -W 3 b.i3 2>&1)"

before=$(relay_field passed_bytes)
read -r code speed < <(in_ns a curl -4 -sS -m 30 -o "$WORK/a/big" -w '%{http_code} %{speed_download}\n' http://b.i3/big)
same "4 MB arrive unchanged" "200 $sum" "$code $(sha256sum < "$WORK/a/big" | cut -d' ' -f1)"
within "no faster than 20 Mbit/s and a fifth, by bytes a second" 200000 3000000 "$speed"
within "all of it went by the box" 4194304 8000000 $(($(relay_field passed_bytes) - before))
within "what was above the rate was dropped and counted" 1 100000 "$(relay_field over_rate)"
has "i3-ctl status says it in words" "^a  +no limit +[1-9]" "$(box_ctl status)"
same "the metrics say the same" "$(relay_field over_rate)" "$(relay_counter over_rate)"
read -r code faster < <(in_ns a curl -4 -sS -m 30 -o /dev/null -w '%{http_code} %{speed_download}\n' http://p.i3/big)
within "a peer that is reached straight is faster than the box lets through" 3000001 100000000000 "$faster"

refuse "who is not named by the box gets nothing through it" in_ns p curl -4 -sS -m 3 http://b.i3/page
within "and is counted" 1 10000 "$(relay_counter no_pass)"

end box KILL
refuse "with the box dead nothing passes" in_ns a curl -4 -sS -m 3 http://b.i3/page
start_relay
same "with it again everything does" "$secret" "$(in_ns a curl -4 -sS -m 20 --retry 10 --retry-all-errors http://b.i3/page)"
end box
refuse "with the box ended in order nothing passes it over" in_ns a curl -4 -sS -m 3 http://b.i3/page
same "no packet went straight in all that time" 0 "$(straight)"
end capture
within "the box saw packets" 1000 10000000 "$(tcpdump -r "$WORK/box.pcap" -n 2>/dev/null | wc -l)"
refuse "and none of the words in them" grep -aq "$secret" "$WORK/box.pcap"

# The server's wish: whoever comes has to come by the box; a knows nothing of that.
write_relay know=b relay='rate="20Mbit"'
start_relay
write_proxy a know=b
write_proxy b know=a allow='<allow from="a"/>'
sed -i "s|<inbound>|<inbound stack=\"${KEY[m]}\">|" "$WORK/b/proxy.xml"
check "the client wants no box any more" ctl a reload
check "and the server does" ctl b reload
same "a page comes by the server's box" "$secret" "$(in_ns a curl -4 -sS -m 20 --retry 10 --retry-all-errors http://b.i3/page)"
same "i3-ctl peers shows it at the server" "relay ${KEY[m]}" "$(path_of b a) $(via_of b a)"
same "and at the client" relay "$(path_of a b)"
within "the box passed it on" 5 100000 "$(relay_field passed)"
same "still no packet went straight" 0 "$(straight)"
# What counts such packets does count: without any box they go straight.
sed -i "s|<inbound stack=[^>]*>|<inbound>|" "$WORK/b/proxy.xml"
check "the server wants no box any more" ctl b reload
is_straight() { in_ns a curl -4 -sS -m 5 -o /dev/null http://b.i3/page && [ "$(path_of a b)" = direct ]; }
wait_for 20 "the straight way" is_straight
within "and packets go straight" 1 1000000 "$(straight)"
