#!/bin/bash
# A middle-box by the client's wish, between unmodified programs: what tcpdump and tshark see on its
# interface, headers preserved, active ftp, and what nftables drops where the mode is inline.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$I3_TREE/tests/apps/programs.sh"
. "$I3_TREE/tests/netns/gateway/boxes.sh"
begin 140
box_world
write_proxy a know=b
a_wants_box_for b
write_proxy b know=a allow='<allow from="a"/>'
write_proxy a know=b allow='<allow from="b" protocol="tcp"/>'
a_wants_box_for b
write_box box='mode="inline"'
start_proxy a b
start_box
same "the middle-box is inline" inline "$(box_field mode)"
start_nginx b
capture_box
echo 'a page' > "$WORK/b/www/page"

same "a page comes through the middle-box" "a page" "$(in_ns a curl -4 -sS -m 15 http://b.i3/page)"
same "and over IPv6" "a page" "$(in_ns a curl -6 -sS -m 15 http://b.i3/page)"
same "the server sees the client's own virtual address" "$(field a ipv4 status)" \
  "$(in_ns a curl -4 -sS -m 15 http://b.i3/who)"
same "i3-ctl peers shows the middle-box at the client" ids "$(through_box a b)"
same "and at the server, by its key" "${KEY[m]}" "$(through_box b a)"
same "headers are preserved" true "$(ctl a --json peers | jq '.peers[] | select(.name == "b") | .preserves_headers')"
same "the middle-box has one conversation" 1 "$(box_field conversations)"
tshark_sees() { seen_by_tshark -Y 'http.request.uri == "/page"' -T fields -e ip.src -e ip.dst | grep -q .; }
wait_for 10 "the request in the capture" tshark_sees
same "tshark sees a conversation between the two hosts, by their own addresses" \
  "$(printf '%s\t%s' "$(field a ipv4 status)" "$(field b ipv4 status)")" \
  "$(seen_by_tshark -Y 'http.request.uri == "/page" && ip' -T fields -e ip.src -e ip.dst | sort -u)"
has "and the answers to it" 200 "$(seen_by_tshark -Y http.response -T fields -e http.response.code)"
check "ping goes through" in_ns a ping -4 -c 2 -W 3 b.i3
check "i3-ctl ping goes all the way" ctl a ping b -c 2

prepare_ftp
check_ftp_passive
check_ftp_active

in_ns m nft -f - <<'NFT' || fail "the rules"
table netdev mine {
  chain look { type filter hook ingress device "i3-inspect" priority 0;
    ip protocol tcp tcp dport 80 counter drop; }
}
NFT
refuse "what nftables drops on the interface does not arrive" in_ns a curl -4 -sS -m 4 http://b.i3/page
has "nftables counted it" 'packets [1-9]' "$(in_ns m nft list table netdev mine)"
same "other traffic still passes" "a page" "$(in_ns a curl -6 -sS -m 15 http://b.i3/page)"
in_ns m nft delete table netdev mine
same "without the rule it passes again" "a page" "$(in_ns a curl -4 -sS -m 15 http://b.i3/page)"

end box
refuse "without the middle-box nothing arrives" in_ns a curl -sS -m 6 http://b.i3/page
has "nothing of it is left behind" '^0$' "$(in_ns m sh -c 'ip -o link | grep -c i3-; nft list ruleset' | tr -d '\n')"
