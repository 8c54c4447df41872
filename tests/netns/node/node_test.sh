#!/bin/bash
# Three real i3-node daemons on one bridge, each in a network namespace of its own:
#
#   node 1  10.77.0.1, fd77::1 --+
#   node 2  10.77.0.2 -----------+-- bridge (a namespace too)
#   node 3  10.77.0.3 -----------+
#
# usage: node_test.sh I3-NODE I3-CTL
set -u
NODE=$1 CTL=$2
RUN=i3t$$
DIR=$(mktemp -d)
declare -A PID
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }

end() {
  for pid in "${PID[@]}"; do kill -9 "$pid" 2>/dev/null; done
  for name in 1 2 3 bridge; do ip netns del "$RUN-$name" 2>/dev/null; done
  rm -rf "$DIR"
}
trap end EXIT
fail() {
  echo "FAILED: $*"
  tail -n 20 "$DIR"/*.log
  exit 1
}
ok() { echo "ok - $*"; }

# wait_for SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    read -r -t 0.1 <> <(:) || true
  done
}

ip netns add "$RUN-bridge" || fail "cannot make a namespace"
ip -n "$RUN-bridge" link add br0 type bridge
ip -n "$RUN-bridge" link set br0 up
for i in 1 2 3; do
  ip netns add "$RUN-$i"
  ip -n "$RUN-bridge" link add "v$i" type veth peer name eth0 netns "$RUN-$i"
  ip -n "$RUN-bridge" link set "v$i" master br0 up
  ip -n "$RUN-$i" addr add "10.77.0.$i/24" dev eth0
  ip -n "$RUN-$i" addr add "fd77::$i/64" dev eth0 nodad
  ip -n "$RUN-$i" link set eth0 up
  ip -n "$RUN-$i" link set lo up
done

# inside NUMBER COMMAND...: in the node's namespace, with a /run of its own.
inside() {
  ip netns exec "$RUN-$1" sh -c 'mount -t tmpfs none /run && exec "$@"' sh "${@:2}"
}
start() { # NUMBER OPTIONS...
  local i=$1
  shift
  # Not through inside(): $! shall be the daemon.
  ip netns exec "$RUN-$i" sh -c 'mount -t tmpfs none /run && exec "$@"' sh \
    "$NODE" --state-dir "$DIR/$i" "$@" 2>> "$DIR/$i.log" &
  PID[$i]=$!
}
ctl() { "$CTL" --socket "$DIR/$1/node.sock" --json "${@:2}" 2>> "$DIR/ctl.log"; }
# ring NUMBER FILTER: what a node says about its ring, through jq.
ring() { ctl "$1" ring | jq -r "$2"; }
successors() { [ "$(ring "$1" '[.successors[].address] | sort | join(" ")')" = "$2" ]; }
predecessor_known() { [ "$(ring "$1" '.predecessor.address != null')" = true ]; }
# ends SECONDS PID: waits for a child; its exit code is in CODE.
ends() {
  local waited=0
  CODE="still running"
  while kill -0 "$2" 2>/dev/null; do
    [ $waited -lt $(($1 * 10)) ] || return
    read -r -t 0.1 <> <(:) || true
    waited=$((waited + 1))
  done
  wait "$2"
  CODE=$?
}

# ---- a ring forms; nodes 2 and 3 learn their addresses from node 1 ----
start 1 --listen 10.77.0.1:5100 --listen "[fd77::1]:5100"
wait_for 5 test -S "$DIR/1/node.sock" || fail "node 1 does not start"
wait_for 5 eval '[ "$(ctl 1 status | jq .ready)" = true ]' || fail "node 1 alone is not ready"
ok "one node alone is ready"
start 2 --listen 0.0.0.0:5100 --join 10.77.0.1:5100
start 3 --listen 0.0.0.0:5100 --join 10.77.0.1:5100
wait_for 20 successors 1 "10.77.0.2:5100 10.77.0.3:5100" || fail "node 1 does not know both others"
wait_for 20 successors 2 "10.77.0.1:5100 10.77.0.3:5100" || fail "node 2 does not know both others"
wait_for 20 successors 3 "10.77.0.1:5100 10.77.0.2:5100" || fail "node 3 does not know both others"
for i in 1 2 3; do wait_for 10 predecessor_known $i || fail "node $i has no predecessor"; done
ok "three nodes form a ring"
[ "$(ring 1 '.addresses | length')" = 2 ] || fail "node 1 does not tell both its families"
[ "$(ring 2 '.address')" = 10.77.0.2:5100 ] || fail "node 2 has not learned its address"
grep -q "address-learned" "$DIR/2.log" || fail "a learned address is not logged"
ok "an address is learned from the entry node, and said"
[ "$(stat -c %a "$DIR/2/node.key")" = 600 ] || fail "the key is not 0600"
ctl 2 metrics | jq -r .text | grep -q '^i3_node_ready 1$' || fail "no metrics"
ok "key file, metrics"

# ---- a second instance, a port that is taken, wrong usage ----
inside 1 "$NODE" --state-dir "$DIR/1" --listen 10.77.0.1:5101 2> "$DIR/second.log"
[ $? = 1 ] || fail "a second instance does not end with 1"
ok "a second instance on the same state: exit 1"
inside 1 "$NODE" --state-dir "$DIR/other" --listen 10.77.0.1:5100 2> "$DIR/taken.log"
[ $? = 1 ] || fail "a taken port does not end with 1"
grep -q "10.77.0.1:5100.*another program uses this port" "$DIR/taken.log" || fail "taken port not said"
ok "a taken port: exit 1, and said plainly"
for wrong in "--nonsense" "--listen nowhere" "--listen 10.77.0.1:5102 --log-level loud" \
             "--config $DIR/none.xml" "--listen 0.0.0.0:5102 --state-dir $DIR/other"; do
  # shellcheck disable=SC2086
  inside 1 "$NODE" $wrong > "$DIR/usage.log" 2>&1
  [ $? = 2 ] || fail "'$wrong' does not end with 2"
done
ok "wrong options and settings: exit 2"
grep -q -- --advertise "$DIR/usage.log" || fail "the remedy for an unknown address is not named"
printf '<i3-node>\n  <listen adress="10.77.0.1:5102"/>\n</i3-node>\n' > "$DIR/wrong.xml"
"$NODE" --check-config --config "$DIR/wrong.xml" 2> "$DIR/check.log"
[ $? = 2 ] || fail "--check-config accepts a wrong file"
grep -q "wrong.xml:2:[0-9]*: " "$DIR/check.log" || fail "the place of a mistake is not named"
ok "a wrong file: its line is named, exit 2"
mkdir -p "$DIR/open"
install -m 644 "$DIR/1/node.key" "$DIR/open/node.key"
inside 1 "$NODE" --listen 10.77.0.1:5102 --state-dir "$DIR/open" 2> "$DIR/mode.log"
[ $? = 2 ] || fail "a key that others may read is accepted"
grep -q "open/node.key" "$DIR/mode.log" || fail "the key file is not named"
ok "a key that others may read: exit 2, and named"

# ---- one dies, the others heal; it comes back; one leaves ----
kill -9 "${PID[2]}"
wait "${PID[2]}" 2>/dev/null
wait_for 20 successors 1 "10.77.0.3:5100" || fail "node 1 still believes in the dead node"
wait_for 20 successors 3 "10.77.0.1:5100" || fail "node 3 still believes in the dead node"
ok "the others heal after kill -9"
before=$(cat "$DIR/2/node.state")
start 2 --listen 0.0.0.0:5100 --join 10.77.0.1:5100
wait_for 20 successors 2 "10.77.0.1:5100 10.77.0.3:5100" || fail "node 2 does not come back"
wait_for 20 successors 1 "10.77.0.2:5100 10.77.0.3:5100" || fail "node 1 does not see node 2 again"
[ "$(cat "$DIR/2/node.state")" != "$before" ] || fail "it came back at the same place"
ok "a node that died comes back at its next place"
kill -TERM "${PID[3]}"
ends 2 "${PID[3]}"
[ "$CODE" = 0 ] || fail "SIGTERM ended with '$CODE'"
wait_for 2 successors 1 "10.77.0.2:5100" || fail "a leave is not noticed at once"
ok "SIGTERM: exit 0 within 2 s, and the others know at once"
[ ! -e "$DIR/3/node.sock" ] || fail "the control socket stays behind"
kill -HUP "${PID[1]}"
[ "$(ctl 1 status | jq .ready)" = true ] || fail "SIGHUP harmed a node without a file"
ok "SIGHUP is survived"
for i in 1 2; do kill -TERM "${PID[$i]}"; done
for i in 1 2; do
  ends 2 "${PID[$i]}"
  [ "$CODE" = 0 ] || fail "node $i did not end well: $CODE"
done
grep -hE "error|assert|Segmentation" "$DIR"/[123].log && fail "a node logged an error"
ok "nothing unusual was logged"
echo "all well"
