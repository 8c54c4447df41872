#!/bin/bash
# Real daemons behind every kind of NAT, each against each: all connect, straight wherever theory allows
# it, and netcheck says of each NAT what it is.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/netns/figures.sh"
. "$I3_TREE/tests/netns/nat/lib.sh"
begin 400
KINDS="none full-cone address-restricted port-restricted symmetric double"
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
start_ring
number=0 callers="" called=""
for side in a b; do
  i=0
  for kind in $KINDS; do
    i=$((i + 1))
    number=$((number + 1))
    nat_host "$side$i" $number "$kind"
    [ $side = a ] && callers="$callers a$i" || called="$called b$i"
  done
done
# shellcheck disable=SC2086
keygen $callers $called
allow=""
for a in $callers; do allow="$allow<allow from=\"$a\"/>"; done
for a in $callers; do write_proxy "$a" know="$called" intercept=none; done
for b in $called; do write_proxy "$b" know="$callers" allow="$allow" intercept=none; done
# shellcheck disable=SC2086
start_proxy $callers $called

# What netcheck has to say of each kind.
found_kind() { case $1 in double) echo port-restricted ;; *) echo "$1" ;; esac; }
i=0
for kind in $KINDS; do
  i=$((i + 1))
  nat=$(ctl "a$i" --json netcheck | jq -c .nat)
  same "netcheck behind $kind" "$(found_kind "$kind")" "$(jq -r .name <<< "$nat")"
  case $kind in
    none) has "  it is not translated" '"mapping":"endpoint-independent"' "$nat" ;;
    symmetric) has "  its mapping" '"mapping":"address-and-port-dependent"' "$nat" ;;
    *) has "  its mapping" '"mapping":"endpoint-independent"' "$nat" ;;
  esac
done

# Two packets meet where at least one side knows where the other's will come from.
expected() {
  case $1-$2 in
    symmetric-symmetric | symmetric-port-restricted | symmetric-double) echo node ;;
    port-restricted-symmetric | double-symmetric) echo node ;;
    *) echo direct ;;
  esac
}

# All at once: the first ping of each pair, then a packet a second until the straight ways stand.
for a in $callers; do
  spawn "ping-$a" "$a" sh -c "for b in $called; do $I3_BIN/i3-ctl --json ping \$b -c 1 > $WORK/$a-\$b.ping 2>&1 & done; wait"
done
for a in $callers; do wait_for 60 "the pings of $a" ended "ping-$a"; unset "PID[ping-$a]"; done
pairs() { for a in $callers; do for b in $called; do echo "$a $b"; done; done; }
kind_of() { local k; k=($KINDS); echo "${k[$((${1:1} - 1))]}"; }
peers_of() { for a in $callers $called; do ctl "$a" --json peers > "$WORK/$a.peers" 2>/dev/null; done; }
row() { jq -r --arg n "$2" '.peers[] | select(.name == $n) | "\(.path) \(.direct_after_ms // "-")"' "$WORK/$1.peers"; }
all_as_expected() {
  local a b
  for a in $callers; do
    in_ns "$a" sh -c "for b in $called; do $I3_BIN/i3-ctl ping \$b -c 1 > /dev/null 2>&1 & done; wait"
  done
  peers_of
  while read -r a b; do
    [ "$(expected "$(kind_of "$a")" "$(kind_of "$b")")" = node ] && continue
    [[ "$(row "$a" "$b")" = direct* ]] && [[ "$(row "$b" "$a")" = direct* ]] || return 1
  done < <(pairs)
}
end=$(($(now_ms) + 40000))
until all_as_expected || [ "$(now_ms)" -gt $end ]; do pause; done

connected=0 straight=0 allowed=0 total=0 times=()
printf '%-20s %-20s %-9s %-8s %-8s %s\n' FROM TO EXPECTED ACTUAL BACK "MS TO DIRECT"
while read -r a b; do
  x=$(kind_of "$a") y=$(kind_of "$b")
  want=$(expected "$x" "$y")
  read -r way after <<< "$(row "$a" "$b")"
  read -r back _ <<< "$(row "$b" "$a")"
  total=$((total + 1))
  jq -e '.received == 1' "$WORK/$a-$b.ping" > /dev/null 2>&1 && connected=$((connected + 1))
  [ "$want" = direct ] && allowed=$((allowed + 1))
  if [ "$way$back" = directdirect ]; then straight=$((straight + 1)); times+=("$after"); fi
  printf '%-20s %-20s %-9s %-8s %-8s %s\n' "$x" "$y" "$want" "$way" "$back" "$after"
  [ "$way$back" = "$want$want" ] || miss "$x to $y: $want is expected, it is $way there and $back back"
done < <(pairs)
same "pairs that connect" "$total" "$connected"
same "pairs with a straight path, of those that theory allows" "$allowed" "$straight"
figure nat.pairs_connected_percent % 100 higher '{}' $((connected * 100 / total))
figure nat.pairs_direct_of_allowed_percent % 100 higher '{}' $((straight * 100 / allowed))
[ ${#times[@]} = 0 ] || figure nat.time_to_direct_ms ms null lower '{}' "${times[@]}"
