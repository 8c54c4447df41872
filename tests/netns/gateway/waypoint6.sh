#!/bin/bash
# IP-to-i3 over IPv6: every name has an address of its own for ever, so that any port, UDP and ping work
# without having asked; and a browser, which tries both families.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/waypoint_lib.sh"
begin 120
one_gateway 'default="shop"'
for host in shop files; do
  start_site "$host"
  start_sshd "$host"
done
shop6=$(in_ns x dig +short "shop.$ZONE" AAAA)
has "a name's address is below the prefix" '^2001:db8:7::?[0-9a-f:]+$' "$shop6"
has "ping -6" " 3 received" "$(in_ns x ping -6 -c 3 -i 0.2 -W 2 "shop.$ZONE" 2>&1)"
has "curl -6" "this is files" "$(in_ns x curl -6 -s -m 10 "http://files.$ZONE/")"
has "TLS over IPv6" "this is shop" "$(in_ns x curl -6 -s -m 10 --cacert "$WORK/shop.crt" "https://shop.$ZONE/")"
same "the server sees the gateway" "$(field shop ipv6 resolve g)" "$(in_ns x curl -6 -s -m 10 "http://shop.$ZONE/who")"
same "ssh -6" shop "$(ssh_from x -6 "shop.$ZONE" hostname 2>&1)"
same "who never asked reaches it by address" shop "$(ssh_from y -6 "$shop6" hostname 2>&1)"
spawn echo shop socat UDP6-RECVFROM:7,fork EXEC:cat
wait_for 5 "the echo server" in_ns shop sh -c "ss -Hnul sport = :7 | grep -q ."
same "UDP" question "$(in_ns x sh -c "echo question | socat -t 3 -T 3 - UDP6:[$shop6]:7")"
has "an address that is nobody's" '^(7|52|56)$' "$(in_ns x curl -g -s -m 5 "http://[2001:db8:7::1]/"; echo $?)"
refuse "nor does it answer a ping" in_ns x ping -6 -c 1 -W 1 2001:db8:7::1
same "a host in no book, by its key" "$(in_ns x dig +short "${KEY[shop]}.$ZONE" AAAA)" "$shop6"

# ---- the default: for who names nobody
has "the zone itself is the default" "this is shop" "$(in_ns x curl -s -m 10 "http://$ZONE/")"
wait_for 5 "the windows to close" is_from_ip g windows 0
has "HTTP without a Host" "this is shop" "$(in_ns y curl -0 -s -m 10 -H Host: http://198.51.100.61/)"
in_ns y sh -c "socat -t 1 -T 2 - TCP4:198.51.100.62:443 < $I3_TREE/tests/fuzz/corpus/tls_hello/encrypted" > /dev/null
same "an encrypted ClientHello" "1 2" "$(visitor_event g encrypted) $(visitor_event g by_default)"

# ---- the gateway starts anew
end gateway-g
start_gateway g
same "the address is the same" "$shop6" "$(in_ns x dig +short "shop.$ZONE" AAAA)"
has "and works without a question" " 1 received" "$(in_ns y ping -6 -c 1 -W 3 "$shop6" 2>&1)"
kill -KILL "$(gateway_worker g)"
wait_for 15 "the next worker" gateway_ready g
wait_for 10 "ping after the worker died" in_ns y ping -6 -c 1 -W 1 "$shop6"

# ---- a browser
if ! command -v chromium > /dev/null; then say "skipped: no chromium here"; exit 0; fi
page() {
  in_ns x env HOME="$WORK/home" XDG_RUNTIME_DIR="$WORK/home" timeout -k 2 40 chromium --headless --no-sandbox --disable-gpu \
    --disable-dev-shm-usage --no-first-run --disable-background-networking --disable-component-update --user-data-dir="$WORK/home" \
    --ignore-certificate-errors --dump-dom "$1" 2>> "$WORK/chromium.txt"
}
mkdir -p "$WORK/home"
for settings in chromium.d fonts; do [ ! -d "/etc/$settings" ] || cp -a "/etc/$settings" "$WORK/x/etc/"; done
has "Chromium by Host" "this is files" "$(page "http://files.$ZONE/")"
has "Chromium by TLS's server name" "this is shop" "$(page "https://shop.$ZONE/")"
