# Owns the picture in which the kernel's relay is tested: p and q on the internet, who talk by way of
# n1 alone. Sourced after lib.sh.
draw_relay() {
  make_internet
  start_resolver
  make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
  make_public p eth0 198.51.100.50/24
  make_public q eth0 198.51.100.51/24
  keygen n1 p q
}
# Sets $address, q's for p.
let_talk() {
  local pair
  for pair in "p q" "q p"; do
    # shellcheck disable=SC2086
    set -- $pair
    write_proxy "$1" know="$2" nodes=n1 allow="<allow from=\"$2\"/>" shortcuts=no
  done
  start_proxy p q
  address=$(address4 p q.i3)
  check "a ping goes through" in_ns p ping -c 20 -i 0.02 -W 2 "$address"
}
# carry BYTES: from p to q.
carry() {
  spawn web q bash -c 'socat -u TCP-LISTEN:7001,reuseaddr STDOUT | sha256sum > /run/sum'
  head -c "$1" /dev/urandom > "$WORK/data"
  wait_for 5 "the sink" in_ns q bash -c 'ss -ltn | grep -q :7001'
  check "$1 bytes go through it" in_ns p socat -u "OPEN:$WORK/data" "TCP:$address:7001"
  wait_for 10 "the sum" in_ns q test -s /run/sum
  same "and arrive unchanged" "$(sha256sum < "$WORK/data")" "$(in_ns q cat /run/sum)"
}
counter() { in_ns n1 "$I3_BIN/i3-ctl" --socket "${NODE_SOCKET:-/run/i3/node.sock}" --json metrics | jq -r .text | sed -n "s/.*event=\"$1\"} //p"; }
no_leases() { [ "$(counter kernel_leases)" = 0 ]; }
end_of_q() {
  end proxy-q
  wait_for 8 "every lease to end with the triggers" no_leases
  say "ok - what ends a host's triggers ends its leases"
}
