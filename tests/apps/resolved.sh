# Owns a systemd-resolved of its own for one host of a test network: with a private bus, a private /run and
# the host's resolver as its upstream. Sourced after tests/netns/lib.sh; its parts also after dns/lib.sh.

resolved_program() {
  local program
  for program in /lib/systemd/systemd-resolved "$I3_TREE/build/unpacked/lib/systemd/systemd-resolved"; do
    [ -x "$program" ] && { echo "$program"; return; }
  done
  fail "systemd-resolved is missing: .ci/install-packages.sh unpack"
}
# Its users and its bus's in ETC, a private copy of /etc: a machine where it is only unpacked lacks them.
add_resolved_users() {
  local etc=$1 user number=640
  for user in messagebus systemd-resolve; do
    number=$((number + 1))
    grep -q "^$user:" "$etc/passwd" || echo "$user:x:$number:$number::/:/usr/sbin/nologin" >> "$etc/passwd"
    grep -q "^$user:" "$etc/group" || echo "$user:x:$number:" >> "$etc/group"
  done
}
write_bus_settings() {
  cat > "$1" <<'END'
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
END
}

# start_resolved HOST: also makes its resolv.conf point there, as on a usual machine.
start_resolved() {
  local host=$1 etc=$WORK/$1/etc
  add_resolved_users "$etc"
  write_bus_settings "$WORK/$host/bus.conf"
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
resolvectl_program() {
  if [ -x /usr/bin/resolvectl ]; then echo /usr/bin/resolvectl; else echo "$I3_TREE/build/unpacked/usr/bin/resolvectl"; fi
}
resolvectl_in() { in_ns "$1" "$(resolvectl_program)" --no-pager "${@:2}"; }
