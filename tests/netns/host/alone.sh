#!/bin/bash
# One machine with no entry node runs a node itself; a second one that it never met joins by its
# invitation. This is the quick start of README.md and docs/guides/reach-home.md.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 110
make_internet
start_resolver
make_public p eth0 198.51.100.50/24 2001:db8:1::50/64
make_host a 1
# No settings at all: the first start writes /etc/i3/proxy.xml and book.xml of that host.
spawn proxy-p p "$I3_BIN/i3-proxy"
wait_for 15 "the first machine to be ready alone" is_ready p
key=$(field p key status)
has "it has a key of its own" "^[a-z2-7]{52}$" "$key"
same "made for its owner only" 600 "$(in_ns p stat -c %a /var/lib/i3/identity.key)"
check "it resolves and reaches itself by its key" in_ns p ping -c 1 -W 2 "$key.i3"
check "its settings are there to be edited" in_ns p "$I3_BIN/i3-proxy" --check-config
start_nginx p
start_sshd p
same "a program reaches it by its own name" 200 \
  "$(in_ns p curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$key.i3/who")"
invitation=$(ctl p invite 2> "$WORK/invite.err")
has "invite prints an invitation" "i3-invite:[a-z2-7]+" "$invitation"

spawn proxy-a a "$I3_BIN/i3-proxy"
wait_for 15 "the second machine's daemon" ctl a status
check "the second machine joins by the invitation" ctl a join "$(grep -oE 'i3-invite:[a-z2-7]+' <<< "$invitation" | head -n 1)"
wait_for 15 "the second machine to be ready" is_ready a
name=$(ctl a --json book list | jq -r --arg key "$key" '.. | objects | select(.key? == $key) | .name' | head -n 1)
has "its book holds the first one" "." "$name"
wait_for 15 "the second machine to know the first one's address" ctl a resolve "$name.i3"
refuse "nobody is let in yet" in_ns a curl -s -m 12 -o /dev/null "http://$name.i3/who"
check "the first one lets it in, to two ports" ctl p allow "$(field a key identity)" --ports 22,80
wait_for 10 "the second machine to reach the first one" in_ns a curl -sf -m 2 -o /dev/null "http://$name.i3/who"
same "the two machines that never met talk" 200 "$(in_ns a curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$name.i3/who")"
same "ssh to the machine" p "$(ssh_from a "$name.i3" cat /proc/sys/kernel/hostname)"
refuse "ping was not among what it lets in" in_ns a ping -c 1 -W 2 "$name.i3"
end proxy-a
spawn proxy-a a "$I3_BIN/i3-proxy"
wait_for 15 "the second machine after a restart" is_ready a
check "what join wrote stays after a restart" in_ns a curl -sf -m 5 -o /dev/null "http://$name.i3/who"
