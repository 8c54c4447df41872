# Words for tests of middle-boxes: a public machine m, or $BOX, with i3-gateway. Sourced after lib.sh.

# write_box [know="a b"] [box='ATTRIBUTES of <middlebox>'] [inside="XML"]
write_box() {
  local know="a b" box="" inside="" other machine=${BOX:-m}
  local "$@"
  mkdir -p "$WORK/$machine"
  {
    echo '<address-book>'
    for other in $know; do printf '  <host name="%s" key="%s"/>\n' "$other" "${KEY[$other]}"; done
    echo '</address-book>'
  } > "$WORK/$machine/book.xml"
  cat > "$WORK/$machine/gateway.xml" <<XML
<i3-gateway>
  <identity key="$WORK/$machine.key"/>
  <overlay>
$(node_entries 4 ${NODES:-n1 n2 n3})
  </overlay>
  <middlebox $box>$inside</middlebox>
  <address-book file="$WORK/$machine/book.xml"/>
</i3-gateway>
XML
}
box_ctl() { in_ns "${BOX:-m}" "$I3_BIN/i3-ctl" --socket /run/i3/gateway.sock "$@"; }
box_is_ready() { [ "$(box_ctl --json status 2>/dev/null | jq -r .ready)" = true ]; }
box_field() { box_ctl --json status | jq -r ".middlebox.$1"; }
start_box() {
  spawn "box${BOX:+-$BOX}" "${BOX:-m}" "$I3_BIN/i3-gateway" --config "$WORK/${BOX:-m}/gateway.xml"
  wait_for 20 "the middle-box" box_is_ready
}
# through_box HOST NAME: what that host's daemon says of the middle-box to NAME.
through_box() { ctl "$1" --json peers | jq -r ".peers[] | select(.name == \"$2\") | .middlebox"; }
# captures: i3-inspect on m, into box.pcap.
capture_box() {
  spawn capture m tcpdump -i i3-inspect -n -U --immediate-mode -w "$WORK/box.pcap"
  wait_for 10 "the capture" grep -q "listening on" "$WORK/capture.log"
}
seen_by_tshark() { tshark -r "$WORK/box.pcap" -n "$@" 2> /dev/null; }
plugin_is_there() { box_ctl --json status | jq -e ".middlebox.plugins[] | select(.name == \"$1\")" > /dev/null; }
# box_world [PROXY-OPTIONS-OF-A --- PROXY-OPTIONS-OF-B]: ring, keys of a, b and m, machine m.
box_world() {
  home_network
  make_public m eth0 198.51.100.60/24
  start_ring
  keygen a b m
}
# with_box NAME: the entry in a's book goes through the middle-box, which is named there.
a_wants_box_for() {
  sed -i "s|name=\"$1\"|name=\"$1\" middlebox=\"ids\"|; s|</address-book>|<middlebox name=\"ids\" key=\"${KEY[m]}\"/></address-book>|" "$WORK/a/book.xml"
}

# Boxes that pass sealed packets on.
# write_relay [know="a"] [relay='ATTRIBUTES of <relay>'] [inside="XML"]: on m, in the place of write_box.
write_relay() {
  local know="a" relay="" inside=""
  local "$@"
  write_box know="$know"
  sed -i "s|<middlebox .*|<relay $relay>$inside</relay>|" "$WORK/${BOX:-m}/gateway.xml"
}
# wants_stack HOST NAME: HOST's packets to and from NAME go by the box, which its book calls m.
wants_stack() {
  sed -i "s|name=\"$2\"|name=\"$2\" stack=\"m\"|" "$WORK/$1/book.xml"
  grep -q 'name="m"' "$WORK/$1/book.xml" ||
    sed -i "s|</address-book>|<middlebox name=\"m\" key=\"${KEY[m]}\"/></address-book>|" "$WORK/$1/book.xml"
}
relay_is_reachable() { [ "$(box_ctl --json status 2>/dev/null | jq -r .relay.reachable)" = true ]; }
start_relay() {
  start_box
  wait_for 20 "the box's trigger for passes" relay_is_reachable
}
relay_field() { box_ctl --json status | jq -r ".relay.$1"; }
# relay_counter EVENT: of the metrics.
relay_counter() { box_ctl metrics | sed -n "s/^i3_gateway_relay_packets_total{what=\"$1\"} //p"; }
# path_of HOST NAME, via_of HOST NAME: how that host's daemon reaches NAME.
path_of() { ctl "$1" --json peers | jq -r ".peers[] | select(.name == \"$2\") | .path"; }
via_of() { ctl "$1" --json peers | jq -r ".peers[] | select(.name == \"$2\") | .via"; }
