# Sourced by the DNS namespace tests: two namespaces, a resolver in one, the stub in the other.
#
#   $host (10.53.1.1, fd53::1) ==== $far (10.53.1.53, fd53::53: dnsmasq)
#
# The host also has a mount namespace with an /etc and a /run of its own, so nothing of the
# machine's resolver is read or changed. Everything is named after this shell's process and removed
# on exit.
set -euo pipefail

host=i3t$$-h
far=i3t$$-f
work=$(mktemp -d)
pids=()

in_host() { "${host_run[@]}" "$@"; }
in_far() { "${far_run[@]}" "$@"; }
# Programs that stay are started through these, not through the functions: $! is then their own ID.
host_run=()
far_run=(ip netns exec "$far")
fail() {
  echo "FAILED: $*" >&2
  [ ! -e "$work/probe.err" ] || sed 's/^/  probe: /' "$work/probe.err" >&2
  exit 1
}

clean_up() {
  local status=$?
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  ip netns del "$host" 2>/dev/null || true
  ip netns del "$far" 2>/dev/null || true
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT

# wait_until CONDITION...: tries for ten seconds.
wait_until() {
  local end=$((SECONDS + 10))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "waited in vain: $*"
    sleep 0.05
  done
}

# same WHAT EXPECTED ACTUAL
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

make_namespaces() {
  ip netns add "$host" || fail "network namespaces cannot be made here"
  ip netns add "$far"
  ip link add dns0 netns "$host" type veth peer name dns0 netns "$far"
  ip -n "$host" addr add 10.53.1.1/24 dev dns0
  ip -n "$host" addr add fd53::1/64 dev dns0 nodad
  ip -n "$far" addr add 10.53.1.53/24 dev dns0
  ip -n "$far" addr add fd53::53/64 dev dns0 nodad
  for ns in "$host" "$far"; do
    ip -n "$ns" link set lo up
    ip -n "$ns" link set dns0 up
  done
  hold_host
  change_resolv_conf 10.53.1.53
}

# A process that keeps the host's namespaces, with copies of /etc and an empty /run.
hold_host() {
  cp -a /etc "$work/etc"
  rm -f "$work/etc/resolv.conf"
  echo 'hosts: files dns' >"$work/etc/nsswitch.conf"
  ip netns exec "$host" unshare --mount --propagation private bash -c "
    mount --bind '$work/etc' /etc && mount -t tmpfs i3-test /run && touch '$work/held' &&
    exec sleep infinity" &
  local holder=$!
  pids+=($holder)
  host_run=(nsenter --net --mount --target "$holder" --)
  wait_until test -e "$work/held"
}
change_resolv_conf() { echo "nameserver $1" >"$work/etc/resolv.conf"; }
replace_resolv_conf() { echo "nameserver $1" >"$work/etc/next" && mv "$work/etc/next" "$work/etc/resolv.conf"; }

# A name with 40 TXT records: 3 kB, more than a UDP answer without EDNS may have.
start_dnsmasq() { # host|far ADDRESS...
  local -n where=$1_run
  local options=()
  shift
  for address in "$@"; do options+=("--listen-address=$address"); done
  for i in $(seq 40); do options+=("--txt-record=big.example,record number $i of the big answer ........................"); done
  # As root because the namespace's files belong to root; it holds nothing but this test's names.
  "${where[@]}" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
    --user=root --pid-file= --bind-interfaces --edns-packet-max=4096 --log-queries \
    --log-facility="$work/dnsmasq.log" \
    --address=/www.example/192.0.2.80 --address=/www.example/2001:db8::80 \
    --ptr-record=80.2.0.192.in-addr.arpa,www.example "${options[@]}" &
  pids+=($!)
  wait_until "${where[@]}" dig +time=1 +tries=1 @"$1" www.example A
}

start_probe() { # ARGUMENTS...
  : >"$work/probe.out"
  "${host_run[@]}" "$probe" "$@" >"$work/probe.out" 2>"$work/probe.err" &
  probe_pid=$!
  pids+=($probe_pid)
  wait_until grep -q ready "$work/probe.out"
}

short() { in_host dig +short +time=3 +tries=1 "$@"; }
status_of() { in_host dig +time=3 +tries=1 "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
