#!/bin/bash
# Twenty connections through a gateway outlive the death of its worker, a restart of the whole gateway and
# one of the client; what programs remember of a name goes on to be true.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_intranet
spawn echo s socat TCP4-LISTEN:7,fork,reuseaddr EXEC:cat
wait_for 5 "the echo server" in_ns s sh -c "ss -Hntl sport = :7 | grep -q ."
before=$(addresses_of a www.corp.example A)

# Opens twenty connections; for each file go-N echoes over all of them and writes how many answered.
cat > "$WORK/twenty" <<'SCRIPT'
cd "$1" || exit 1
fds=()
for i in $(seq 20); do exec {fd}<>/dev/tcp/four.corp.example/7 && fds+=("$fd"); done
echo ${#fds[@]} > opened
for n in 1 2 3 4; do
  until [ -e "go-$n" ]; do sleep 0.05; done
  good=0
  for fd in "${fds[@]}"; do echo "round $n" >&"$fd"; done
  for fd in "${fds[@]}"; do read -r -t 15 line <&"$fd" && [ "$line" = "round $n" ] && good=$((good + 1)); done
  echo "$good" > "answered-$n.part" && mv "answered-$n.part" "answered-$n"
done
SCRIPT
spawn twenty a bash "$WORK/twenty" "$WORK"
wait_for 20 "twenty connections" test -s "$WORK/opened"
same "twenty connections are open" 20 "$(cat "$WORK/opened")"
round() { touch "$WORK/go-$1"; wait_for 40 "answers" test -e "$WORK/answered-$1"; cat "$WORK/answered-$1"; }
same "all answer" 20 "$(round 1)"

worker=$(gateway_worker g)
kill -9 "$worker"
new_one() { local now; now=$(gateway_worker g); [ -n "$now" ] && [ "$now" != "$worker" ] && gateway_ready g; }
wait_for 10 "a new worker" new_one
same "after the death of the gateway's worker all answer" 20 "$(round 2)"

end gateway-g
start_gateway g
same "after a restart of the gateway all answer" 20 "$(round 3)"

end proxy-a
start_proxy a
same "after a restart of the client all answer" 20 "$(round 4)"
same "the name has the same address" "$before" "$(addresses_of a www.corp.example A)"

# A gateway that lost all it knew: the client is told, asks again, and goes on by itself.
end gateway-g KILL
in_ns g find /var/lib/i3 -type f ! -name '*.key' -delete
start_gateway g
address=$(address4 a www.corp.example)
check "a program that kept the address is served all the same" \
  wait_for 10 "an echo" in_ns a sh -c "echo hello | socat -t 2 - TCP4:$address:7,connect-timeout=3 | grep hello"
