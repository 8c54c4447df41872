# Owns a systemd-resolved of its own for one host of the test network: with a private bus, a private
# /run and the host's resolver as its upstream. Sourced after tests/netns/lib.sh.

resolved_program() {
  local program
  for program in /lib/systemd/systemd-resolved "$I3_TREE/build/unpacked/lib/systemd/systemd-resolved"; do
    [ -x "$program" ] && { echo "$program"; return; }
  done
  fail "systemd-resolved is missing: .ci/install-packages.sh unpack"
}
# start_resolved HOST [on|off]: also makes its resolv.conf point there, as on a usual machine.
start_resolved() {
  local host=$1 etc=$WORK/$1/etc user
  for user in messagebus systemd-resolve; do
    grep -q "^$user:" "$etc/passwd" || echo "$user:x:6$(grep -c . "$etc/passwd"):65534::/:/usr/sbin/nologin" >> "$etc/passwd"
    grep -q "^$user:" "$etc/group" || echo "$user:x:6$(grep -c . "$etc/passwd"):" >> "$etc/group"
  done
  cat > "$WORK/$host/bus.conf" <<'EOF'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true"/><allow receive_type="method_call"/><allow receive_type="signal"/>
    <allow receive_requested_reply="true"/><allow send_destination="*" eavesdrop="true"/>
  </policy>
</busconfig>
EOF
  mkdir -p "$etc/systemd"
  printf '[Resolve]\nDNS=198.51.100.1\nLLMNR=no\nMulticastDNS=no\nCache=no\nDNSSEC=no\nFallbackDNS=\n' > "$etc/systemd/resolved.conf"
  rm -rf "$etc/systemd/resolved.conf.d"
  in_ns "$host" mkdir -p /run/dbus /run/systemd/resolve
  in_ns "$host" chown systemd-resolve: /run/systemd/resolve
  spawn "bus-$host" "$host" dbus-daemon --config-file="$WORK/$host/bus.conf" --nofork --nopidfile
  wait_for 5 "the bus" in_ns "$host" test -S /run/dbus/system_bus_socket
  spawn "resolved-$host" "$host" "$(resolved_program)"
  wait_for 10 "systemd-resolved" in_ns "$host" test -e /run/systemd/resolve/stub-resolv.conf
  ln -sf ../run/systemd/resolve/stub-resolv.conf "$etc/resolv.conf"
  wait_for 10 "names by systemd-resolved" in_ns "$host" getent hosts other.example
}
resolvectl_in() {
  local program=$I3_TREE/build/unpacked/usr/bin/resolvectl
  [ -x /usr/bin/resolvectl ] && program=/usr/bin/resolvectl
  in_ns "$1" "$program" --no-pager "${@:2}"
}
