# Owns the picture of intranets behind gateways, for the tests in this folder. Sourced after
# tests/netns/lib.sh.
#
#   internet 198.51.100.0/24 (see ../lib.sh)
#     |          |                    |
#   NAT of a   gateway g .60       gateway h .61
#     |          | lan 10.1.0.1      | lan 10.1.0.1        the same network twice
#   host a     server s 10.1.0.10  server t 10.1.0.10      no routes, hence everything is masqueraded
#
# On each server a DNS server knows the intranet's names.

# make_intranet GATEWAY NUMBER SERVER [DOMAIN]: names below DOMAIN at the server.
make_intranet() {
  local g=$1 server=$3 domain=${4:-corp.example}
  make_public "$g" eth0 "198.51.100.$2/24" "2001:db8:1::$2/64"
  new_host "$server" 10.1.0.10
  cable "$g" lan "$server" eth0
  addresses "$g" lan 10.1.0.1/24 fd10::1/64
  addresses "$server" eth0 10.1.0.10/24 10.1.0.11/24 fd10::10/64
  {
    printf '%s\n' no-resolv no-hosts keep-in-foreground no-daemon bind-interfaces interface=eth0 pid-file= user=root \
      local-ttl=60 log-queries "local=/$domain/" \
      "host-record=www.$domain,10.1.0.10,fd10::10" "host-record=four.$domain,10.1.0.10" \
      "host-record=six.$domain,fd10::10" "host-record=other.$domain,10.1.0.11" \
      "host-record=outside.$domain,10.9.0.10" "host-record=loop.$domain,127.0.0.1,::1" \
      "host-record=meta.$domain,169.254.169.254" "host-record=self.$domain,10.1.0.1,fd10::1" \
      "host-record=virtual.$domain,100.64.0.9" "host-record=secret.example,10.1.0.10" \
      "cname=alias.$domain,www.$domain" "txt-record=text.$domain,words"
  } > "$WORK/$server/dnsmasq.conf"
  spawn "dns-$server" "$server" dnsmasq -C "$WORK/$server/dnsmasq.conf"
  wait_for 10 "the intranet's DNS" in_ns "$g" dig +time=1 +tries=1 @10.1.0.10 "www.$domain"
}
# write_gateway GATEWAY KNOW RULES [RESOLVER]: KNOW are hosts of its book, RULES its <allow> lines.
write_gateway() {
  local g=$1 other
  mkdir -p "$WORK/$g"
  {
    echo '<address-book>'
    for other in $2; do printf '  <host name="%s" key="%s"/>\n' "$other" "${KEY[$other]}"; done
    echo '</address-book>'
  } > "$WORK/$g/book.xml"
  cat > "$WORK/$g/gateway.xml" <<XML
<i3-gateway>
  <identity key="$WORK/$g.key"/>
  <overlay>
$(node_entries 4 ${NODES:-n1 n2 n3})
  </overlay>
  <i3-to-ip resolver="${4:-10.1.0.10}">
    $3
  </i3-to-ip>
  <address-book file="$WORK/$g/book.xml"/>
</i3-gateway>
XML
}
ctl_gateway() { in_ns "$1" "$I3_BIN/i3-ctl" --socket /run/i3/gateway.sock "${@:2}"; }
gateway_ready() { [ "$(ctl_gateway "$1" --json status 2>/dev/null | jq -r .ready)" = true ]; }
gateway_ready_or_dead() { gateway_ready "$1" || ! runs "gateway-$1"; }
start_gateway() {
  spawn "gateway-$1" "$1" "$I3_BIN/i3-gateway" --config "$WORK/$1/gateway.xml"
  wait_for 15 "i3-gateway on $1 to be ready" gateway_ready_or_dead "$1"
  runs "gateway-$1" || fail "i3-gateway on $1 ended at its start"
}
gateway_worker() { pgrep -P "${PID[gateway-$1]}" | head -n 1; }
# gateway_counter GATEWAY EVENT
gateway_counter() { ctl_gateway "$1" metrics | sed -n "s/^i3_gateway_to_ip_total{event=\"$2\"} //p"; }
# know_gateway HOST NAME GATEWAY: into the host's book. Before start_proxy, or with a reload.
know_gateway() {
  sed -i "s|</address-book>|  <gateway name=\"$2\" key=\"${KEY[$3]}\"/>\n</address-book>|" "$WORK/$1/book.xml"
}
# rcode HOST NAME [TYPE]: of the DNS answer that a program there gets.
rcode() {
  in_ns "$1" dig +time=6 +tries=1 "$2" "${3:-A}" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'
}
# addresses_of HOST NAME TYPE
addresses_of() { in_ns "$1" dig +short +time=6 +tries=1 "$2" "$3"; }
# one_node NAME...: the internet with one node, and keys for those as well.
one_node() {
  make_internet
  start_resolver
  make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
  keygen n1 "$@"
  start_node n1
  NODES=n1
}
# one_intranet [RULES]: ring, host a behind a NAT, gateway g with server s; a's names of corp.example go
# there.
one_intranet() {
  one_node a g
  make_host a 1
  make_intranet g 60 s
  write_gateway g a "${1:-<allow client=\"a\"/>}"
  write_proxy a nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/>' "${@:2}"
  know_gateway a corp-gateway g
  start_gateway g
  start_proxy a
}
