# Owns the throw-away network that the tests, the benchmarks and demo.sh work in, and the words they
# check with. Sourced by bash; everything it makes carries this run's name and goes when it ends.
#
#   n1 .11   n2 .12   n3 .13        internet 198.51.100.0/24, 2001:db8:1::/64, resolver at .1 and ::1
#     |        |        |
#   ==+========+========+======+=============+===========+=========+==
#                              |             |           |         |
#                    NAT ra .101    NAT rb .102    p .50 (public)  v6 ::60 (IPv6 only)
#                              |             |
#             host a 192.168.1.2    host b 192.168.2.2
#
# Each host is a network namespace and a mount namespace with an /etc, /run, /var/lib and host name of
# its own: no program in it can touch the machine's resolver, services or settings.
set -u
I3_TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
I3_BIN=${I3_BIN:-$I3_TREE/build/bin}
RUN=i3t$$
WORK=
declare -A HOLDER=() KEY=() PID=()
checks=0

# ---- words -------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

# A sentence that does not hold ends the run; with I3_GO_ON=1 the run goes on to show all of them.
misses=0
miss() {
  [ -n "${I3_GO_ON:-}" ] || fail "$*"
  misses=$((misses + 1))
  printf 'FAILED: %s\n' "$*"
}

# check SENTENCE COMMAND...: the command must succeed.
check() {
  local sentence=$1 output
  shift
  if output=$("$@" 2>&1); then checks=$((checks + 1)); say "ok - $sentence"; return; fi
  printf 'command: %s\n%s\n' "$*" "$output"
  miss "$sentence"
}
# refuse SENTENCE COMMAND...: the command must fail.
refuse() {
  local sentence=$1 output
  shift
  if ! output=$("$@" 2>&1); then checks=$((checks + 1)); say "ok - $sentence"; return; fi
  printf 'command: %s\n%s\n' "$*" "$output"
  miss "$sentence"
}
# same SENTENCE EXPECTED ACTUAL
same() {
  if [ "$2" = "$3" ]; then checks=$((checks + 1)); say "ok - $1"; return; fi
  printf 'expected: %s\n  actual: %s\n' "$2" "$3"
  miss "$1"
}
# has SENTENCE PATTERN TEXT: the text matches the extended regular expression.
has() {
  if grep -qE -- "$2" <<< "$3"; then checks=$((checks + 1)); say "ok - $1"; return; fi
  printf 'expected: %s\n  actual: %s\n' "$2" "$3"
  miss "$1"
}
lacks() {
  if ! grep -qE -- "$2" <<< "$3"; then checks=$((checks + 1)); say "ok - $1"; return; fi
  printf 'not expected: %s\n  actual: %s\n' "$2" "$3"
  miss "$1"
}
# within SENTENCE LOW HIGH VALUE (numbers, decimals allowed)
within() {
  if awk -v l="$2" -v h="$3" -v v="$4" 'BEGIN { exit !(v >= l && v <= h) }'; then
    checks=$((checks + 1)); say "ok - $1 ($4)"; return
  fi
  miss "$1: $4 is not within $2 to $3"
}
# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_for() {
  local seconds=$1 what=$2
  shift 2
  local end=$(($(date +%s%N) + ${seconds%.*} * 1000000000))
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s%N)" -lt "$end" ] || fail "after ${seconds}s still waiting for $what ($*)"
    pause
  done
}
# The step between two looks at a condition: a read that nothing answers, which needs no process.
exec {TICK}<> <(:)
pause() { read -r -t 0.05 -u "$TICK" || true; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# ---- begin and end -----------------------------------------------------------------------------

# begin [SECONDS]: call first. After that time (default 240) the run is ended as failed.
begin() {
  [ "$(id -u)" = 0 ] || { say "skipped: network namespaces need root"; exit 77; }
  WORK=$(mktemp -d "/tmp/$RUN-XXXXXX")
  trap 'finish $?' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  remove_left_behind
  local limit=${1:-240}
  (
    trap - EXIT TERM HUP
    trap '' INT  # Ctrl-C reaches this process too; it has to live until it has ended its sleep
    exec > /dev/null
    sleep "$limit" &
    trap 'kill $!; exit' TERM
    wait $!
    touch "$WORK/timed-out"
    kill -TERM $$
    end_processes_in_my_namespaces
  ) &
  WATCHDOG=$!
}

# A run that was killed could not clean up: its name holds the process that is no more.
remove_left_behind() {
  local ns owner
  for ns in $(ip netns list | awk '/^i3t[0-9]+-/ { print $1 }'); do
    owner=${ns#i3t}
    owner=${owner%%-*}
    [ -d "/proc/$owner" ] && continue
    ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null
    ip netns del "$ns" 2>/dev/null
  done
}
end_processes_in_my_namespaces() {
  local ns
  for ns in $(ip netns list | awk -v run="$RUN-" 'index($1, run) == 1 { print $1 }'); do
    ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null
  done
}

finish() {
  local code=$1 label
  trap '' INT TERM HUP
  trap - EXIT
  [ "$misses" = 0 ] || code=1
  [ -e "$WORK/timed-out" ] && { say "FAILED: took too long"; code=1; }
  if [ "$code" != 0 ] && [ "$code" != 77 ]; then show_logs; fi
  kill "$WATCHDOG" 2>/dev/null
  for label in "${!PID[@]}"; do kill -TERM "${PID[$label]}" 2>/dev/null; done
  for label in "${!PID[@]}"; do wait_gone "${PID[$label]}" 5 || kill -9 "${PID[$label]}" 2>/dev/null; done
  # Also on the way out nobody may crash.
  if grep -E 'corrupted|double free|free\(\): |malloc\(\): |Assertion .* failed|Sanitizer|terminate called' \
      "$WORK"/*.log 2>/dev/null; then
    say "FAILED: a program crashed"
    code=1
  fi
  end_processes_in_my_namespaces
  local ns
  for ns in $(ip netns list | awk -v run="$RUN-" 'index($1, run) == 1 { print $1 }'); do
    ip netns del "$ns"
  done
  wait 2>/dev/null
  if [ -n "${I3_KEEP_LOGS:-}" ]; then say "logs: $WORK"; else rm -rf "$WORK"; fi
  [ "$code" = 0 ] && [ "$checks" -gt 0 ] && say "$checks checks passed"
  exit "$code"
}
show_logs() {
  local log
  for log in "$WORK"/*.log; do
    [ -s "$log" ] || continue
    printf -- '---- %s\n' "${log##*/}"
    tail -n "${I3_LOG_LINES:-40}" "$log"
  done
}
wait_gone() {
  local end=$(($(now_ms) + $2 * 1000))
  while kill -0 "$1" 2>/dev/null; do
    [ "$(state_of "$1")" = Z ] && return 0
    [ "$(now_ms)" -lt "$end" ] || return 1
    pause
  done
}
state_of() { sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null; }

# ---- hosts and cables --------------------------------------------------------------------------

# new_host NAME [RESOLVER...]: a machine without a cable.
new_host() {
  local name=$1 etc=$WORK/$1/etc
  shift
  ip netns add "$RUN-$name" || fail "cannot make the namespace $RUN-$name"
  mkdir -p "$WORK/$name"
  mkdir -p "$etc/i3"
  (cd /etc && cp -a passwd group shadow services protocols ld.so.* alternatives host.conf gai.conf localtime \
    iproute2 dbus-1 systemd terminfo profile bash.bashrc shells "$etc" 2>/dev/null)
  printf 'nameserver %s\n' "$@" > "$etc/resolv.conf"
  printf 'hosts: files dns\npasswd: files\ngroup: files\nservices: files\nprotocols: files\n' > "$etc/nsswitch.conf"
  printf '127.0.0.1 localhost\n::1 localhost\n' > "$etc/hosts"
  nsenter --net="/run/netns/$RUN-$name" unshare --mount --uts --propagation private sh -c '
    echo "$2" > /proc/sys/kernel/hostname &&
    mount --bind "$1/etc" /etc && mount -t tmpfs -o mode=755 tmpfs /run &&
    mount -t tmpfs -o mode=755 tmpfs /var/lib && mount -t sysfs sysfs /sys &&
    mkdir -p /run/sshd && touch "$1/.made" && exec sleep infinity' sh "$WORK/$name" "$name" 2> "$WORK/$name-host.log" &
  HOLDER[$name]=$!
  PID[host-$name]=$!
  wait_for 10 "the mounts of $name" test -e "$WORK/$name/.made"
  in_ns "$name" sh -c 'ip link set lo up
    for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad
      echo 0 > /proc/sys/net/ipv6/conf/$f/accept_ra; done'
}
# in_ns HOST COMMAND...: there, in the foreground.
in_ns() {
  local name=$1
  shift
  nsenter --net="/run/netns/$RUN-$name" --mount="/proc/${HOLDER[$name]}/ns/mnt" \
    --uts="/proc/${HOLDER[$name]}/ns/uts" -- "$@"
}
# spawn LABEL HOST COMMAND...: there, in the background; PID[LABEL], output in LABEL.log.
spawn() {
  local label=$1 name=$2
  shift 2
  nsenter --net="/run/netns/$RUN-$name" --mount="/proc/${HOLDER[$name]}/ns/mnt" \
    --uts="/proc/${HOLDER[$name]}/ns/uts" -- "$@" </dev/null >> "$WORK/$label.log" 2>&1 &
  PID[$label]=$!
}
# end LABEL [SIGNAL] [SECONDS]: signals and waits until it is gone.
end() {
  kill "-${2:-TERM}" "${PID[$1]}" 2>/dev/null
  wait_gone "${PID[$1]}" "${3:-5}" || fail "$1 is still there ${3:-5}s after ${2:-TERM}"
  wait "${PID[$1]}" 2>/dev/null
  STATUS=$?
  unset "PID[$1]"
}
runs() { kill -0 "${PID[$1]}" 2>/dev/null && [ "$(state_of "${PID[$1]}")" != Z ]; }

# cable HOST DEVICE HOST DEVICE
cable() {
  ip link add "$2" netns "$RUN-$1" type veth peer name "$4" netns "$RUN-$3" || fail "no cable $1-$3"
  in_ns "$1" ip link set "$2" up
  in_ns "$3" ip link set "$4" up
}
# addresses HOST DEVICE ADDRESS/BITS...
addresses() {
  local name=$1 device=$2 address
  shift 2
  for address in "$@"; do in_ns "$name" ip addr add "$address" dev "$device" nodad 2>/dev/null ||
    in_ns "$name" ip addr add "$address" dev "$device" || fail "address $address in $name"; done
}
plug_into_internet() { cable "$1" "$2" internet "to-$1" && in_ns internet ip link set "to-$1" master net; }

# The internet's cable, and its resolver with names of its own.
make_internet() {
  new_host internet 198.51.100.1
  # With an address of its own, or it would take the lowest of its ports' and change it when one is
  # added: what its neighbours know would be wrong until they ask again, fifteen seconds later.
  in_ns internet ip link add net address 02:00:00:00:00:01 type bridge
  in_ns internet ip link set net up
  addresses internet net 198.51.100.1/24 2001:db8:1::1/64
}
# make_public NAME DEVICE ADDRESS...: a machine on the internet itself.
make_public() {
  local name=$1 device=$2
  shift 2
  case "$1" in *:*) new_host "$name" 2001:db8:1::1 ;; *) new_host "$name" 198.51.100.1 ;; esac
  plug_into_internet "$name" "$device"
  addresses "$name" "$device" "$@"
}
# make_router NAME NUMBER: a home router with 198.51.100.(100+NUMBER) outside and 192.168.NUMBER.1
# inside; what comes in must answer something that went out, from the same address and port.
make_router() {
  make_public "$1" wan "198.51.100.$((100 + $2))/24" "2001:db8:1::$((100 + $2))/64"
  in_ns "$1" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
  in_ns "$1" nft -f - <<'EOF' || fail "NAT rules of $1"
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
table ip filter {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept; iifname "lan" accept; }
  chain input { type filter hook input priority filter; policy drop;
    ct state established,related accept; iifname { "lo", "lan" } accept; }
}
EOF
}
# make_host NAME NUMBER: behind a router r<NAME> of its own.
make_host() {
  make_router "r$1" "$2"
  new_host "$1" 198.51.100.1
  cable "$1" eth0 "r$1" lan
  addresses "r$1" lan "192.168.$2.1/24"
  addresses "$1" eth0 "192.168.$2.2/24"
  in_ns "$1" ip route add default via "192.168.$2.1"
}
start_resolver() {
  local words
  words=$(printf 'x%.0s' $(seq 200))
  {
    printf '%s\n' no-resolv no-hosts keep-in-foreground bind-interfaces interface=net no-daemon log-queries \
      edns-packet-max=4096 local-ttl=60 pid-file= user=root \
      host-record=real.example,198.51.100.1,2001:db8:1::1 host-record=other.example,198.51.100.77 \
      ptr-record=1.100.51.198.in-addr.arpa,real.example mx-host=real.example,mail.example,10 \
      address=/missing.example/ local=/example/ local=/i3/ address=/upstream-sees.i3/198.51.100.66
  } > "$WORK/dnsmasq.conf"
  # Long records as arguments: a line of its file is too short for them.
  spawn resolver internet dnsmasq -C "$WORK/dnsmasq.conf" \
    "--txt-record=big.example$(printf ",%s-$words" 1 2 3 4 5 6 7 8 9)" \
    "--txt-record=huge.example$(printf ",%s-$words" $(seq 30))"
  wait_for 10 "the resolver" in_ns internet dig +time=1 +tries=1 @198.51.100.1 real.example
}
# home_network: the usual picture with hosts a and b; more of it with `make_public p ...`.
home_network() {
  make_internet
  start_resolver
  local n
  for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
  make_host a 1
  make_host b 2
}

# loss HOST DEVICE PERCENT: drops that share in both directions; `loss HOST DEVICE 0` ends it.
loss() {
  in_ns "$1" nft delete table netdev loss 2>/dev/null
  in_ns "$1" nft delete table inet loss 2>/dev/null
  [ "$3" = 0 ] && return
  local share="numgen random mod 100 < $3"
  [ "$3" = 100 ] && share=
  in_ns "$1" nft -f - <<EOF || fail "loss in $1"
table inet loss {
  chain in { type filter hook prerouting priority -500; iifname "$2" $share drop; }
  chain out { type filter hook postrouting priority 500; oifname "$2" $share drop; }
}
EOF
}

# block_udp ROUTER, unblock_udp ROUTER: a network that lets no UDP through, in either direction.
block_udp() {
  in_ns "$1" nft -f - <<'EOF' || fail "blocking UDP at $1"
table inet noudp {
  chain forward { type filter hook forward priority -10; meta l4proto udp drop; }
}
EOF
}
unblock_udp() { in_ns "$1" nft delete table inet noudp; }

# ---- our programs ------------------------------------------------------------------------------

# keygen NAME...: KEY[NAME], and its file at $WORK/NAME.key.
keygen() {
  local name
  for name in "$@"; do
    KEY[$name]=$("$I3_BIN/i3-ctl" keygen "$WORK/$name.key") || fail "i3-ctl keygen"
  done
}
# node_entries FAMILY NODE...: <node> lines for a proxy; FAMILY 4, 6 or both.
node_entries() {
  local family=$1 n
  shift
  for n in "$@"; do
    [ "$family" = 6 ] || printf '    <node address="198.51.100.1%s:5100" key="%s"/>\n' "${n#n}" "${KEY[$n]}"
    [ "$family" = 4 ] || printf '    <node address="[2001:db8:1::1%s]:5100" key="%s"/>\n' "${n#n}" "${KEY[$n]}"
  done
}
# start_node NODE [JOIN]: n1, n2 or n3. Those in $TLS_NODES serve TLS as well.
start_node() {
  local n=$1 number=${1#n} join="" tls=""
  case " ${TLS_NODES:-} " in *" $n "*) tls="tls=\"198.51.100.1$number:443\"" ;; esac
  [ -n "${2:-}" ] && join="<join address=\"198.51.100.1${2#n}:5100\"/>"
  mkdir -p "$WORK/$n"
  cat > "$WORK/$n/node.xml" <<EOF
<i3-node>
  <identity key="$WORK/$n.key"/>
  <listen address="198.51.100.1$number:5100" $tls/>
  <listen address="[2001:db8:1::1$number]:5100"/>
  $join
</i3-node>
EOF
  spawn "node-$n" "$n" "$I3_BIN/i3-node" --config "$WORK/$n/node.xml"
}
ring_is_whole() {
  local n
  for n in "$@"; do
    [ "$(ctl_node "$n" ring | jq '.successors | length')" -ge $(($# - 1)) ] || return 1
    ctl_node "$n" ring | jq -e '.predecessor != null and .predecessor != ""' > /dev/null || return 1
  done
}
ctl_node() { in_ns "$1" "$I3_BIN/i3-ctl" --socket /run/i3/node.sock --json "${@:2}" 2>/dev/null; }
# start_ring: n1, n2 and n3, until each knows the two others.
start_ring() {
  keygen n1 n2 n3
  start_node n1
  wait_for 10 "node n1" ctl_node n1 ring
  start_node n2 n1
  start_node n3 n1
  wait_for 20 "a ring of three" ring_is_whole n1 n2 n3
}
# start_ring_of NODE...: the same of any of n1 to n9, with a machine on the internet each.
start_ring_of() {
  local n
  for n in "$@"; do make_public "$n" eth0 "198.51.100.1${n#n}/24" "2001:db8:1::1${n#n}/64"; done
  keygen "$@"
  start_node "$1"
  wait_for 10 "node $1" ctl_node "$1" ring
  for n in "${@:2}"; do start_node "$n" "$1"; done
  wait_for 40 "a ring of $#" ring_is_whole "$@"
}
# write_proxy HOST [know="b c"] [allow="XML"] [nodes="n1 n2 n3"] [family=4] [pool=10.77.0.0/16]
#   [shortcuts=yes] [transport=auto] [intercept=auto] [policy="XML"] [more="XML"]
#   [threads=auto]
write_proxy() {
  local host=$1 know="" allow="" nodes="n1 n2 n3" family=4 pool="" shortcuts=yes transport=auto intercept=auto policy="" more="" threads=auto other
  shift
  local "$@"
  mkdir -p "$WORK/$host"
  {
    echo '<address-book>'
    for other in "$host" $know; do printf '  <host name="%s" key="%s"/>\n' "$other" "${KEY[$other]}"; done
    echo '</address-book>'
  } > "$WORK/$host/book.xml"
  [ -n "$pool" ] && pool="<virtual-addresses ipv4=\"$pool\"/>"
  [ -n "$policy" ] && policy="<policy>$policy</policy>"
  # shellcheck disable=SC2086
  cat > "$WORK/$host/proxy.xml" <<EOF
<i3-proxy>
  <identity key="$WORK/$host.key"/>
  <overlay shortcuts="$shortcuts" transport="$transport">
$(node_entries "$family" $nodes)
  </overlay>
  <tun name="i3" threads="$threads"/>
  $pool
  <dns intercept="$intercept"/>
  <address-book file="$WORK/$host/book.xml"/>
  $policy
  <inbound>$allow</inbound>
  $more
</i3-proxy>
EOF
}
ctl() { in_ns "$1" "$I3_BIN/i3-ctl" "${@:2}"; }
field() { ctl "$1" --json "${@:3}" | jq -r ".$2"; }
is_ready() { [ "$(field "$1" ready status 2>/dev/null)" = true ]; }
# start_proxy HOST...: with the file that write_proxy made, until names resolve and it is reachable.
start_proxy() {
  local host
  for host in "$@"; do spawn "proxy-$host" "$host" "$I3_BIN/i3-proxy" --config "$WORK/$host/proxy.xml"; done
  for host in "$@"; do
    wait_for 15 "i3-proxy on $host to be ready" is_ready_or_dead "$host"
    runs "proxy-$host" || fail "i3-proxy on $host ended at its start"
  done
}
is_ready_or_dead() { is_ready "$1" || ! runs "proxy-$1"; }
# forget HOST: its daemon starts as if it had never met anybody (its key stays).
forget() { in_ns "$1" find /var/lib/i3 -type f ! -name '*.key' -delete; }
worker_of() { pgrep -P "${PID[proxy-$1]}" | head -n 1; }
address4() { field "$1" ipv4 resolve "$2"; }
address6() { field "$1" ipv6 resolve "$2"; }

# two_hosts [WRITE-PROXY-OPTIONS]: ring, a and b up, each knows the other; b lets a in.
two_hosts() {
  home_network
  start_ring
  keygen a b
  write_proxy a know=b "$@"
  write_proxy b know=a allow='<allow from="a"/>' "$@"
  start_proxy a b
}

# ---- the state of a host, for comparing before and after ------------------------------------

dump_state() {
  in_ns "$1" sh -c '
    ip -o link | sed "s/^[0-9]*: //; s/ qlen.*//"
    ip -o addr | sed "s/^[0-9]*: //; s/ *valid_lft.*//"
    ip -4 route show table all; ip -6 route show table all; ip rule; ip -6 rule
    nft list ruleset; cat /etc/resolv.conf /etc/hosts /etc/nsswitch.conf; ls -l /etc/resolv.conf
    cd /proc/sys/net && for f in ipv4/ip_forward ipv4/conf/all/* ipv4/conf/default/* ipv6/conf/all/* \
      ipv6/conf/default/*; do [ -f "$f" ] && echo "$f $(cat "$f" 2>/dev/null)"; done; true' > "$2"
}
same_state() { diff -u "$1" "$2"; }
