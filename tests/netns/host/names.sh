#!/bin/bash
# Names: ours are answered by the interceptor, all others by the machine's own resolver, unchanged.
. "$(dirname "$0")/../lib.sh"
begin 110
home_network
start_ring
keygen a b stranger
write_proxy a know=b
ask() { in_ns a dig +tries=1 +time=3 "$@" 2>&1; }
# The parts of an answer that must come through unchanged (not ID, time and the cookie of a run).
outside() {
  ask "$@" | grep -vE '^;; (Query time|WHEN|SERVER|MSG SIZE)|COOKIE|^$|^; <<>>|^;; ->>HEADER' | sort
  ask "$@" | sed -n 's/^;; ->>HEADER.*status: \([A-Z]*\).*/\1/p; s/^;; flags/&/p'
}
questions=("real.example" "real.example AAAA" "real.example MX" "missing-name.example" "-x 198.51.100.1"
  "+tcp real.example" "+noedns real.example" "+bufsize=4096 big.example TXT" "+bufsize=1232 big.example TXT"
  "+tcp big.example TXT" "+noedns big.example TXT" "+tcp huge.example TXT" "huge.example TXT"
  "+bufsize=512 +ignore big.example TXT" "+dnssec real.example" "real.example ANY" "CH version.bind TXT")
i=0
for question in "${questions[@]}"; do
  # shellcheck disable=SC2086
  outside $question > "$WORK/outside-before-$i"
  i=$((i + 1))
done
has "the large answer is there to begin with" "9-xxx" "$(ask +bufsize=4096 big.example TXT)"
start_proxy a

status() { ask "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
b4=$(address4 a b.i3)
b6=$(address6 a b.i3)
has "the address is from the pool" "^100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\." "$b4"
has "the IPv6 address is from fd00::/8" "^fd" "$b6"
same "dig gives the same IPv4 address" "$b4" "$(ask +short b.i3)"
same "dig gives the same IPv6 address" "$b6" "$(ask +short b.i3 AAAA)"
same "over TCP too" "$b4" "$(ask +short +tcp b.i3)"
same "the C library resolves it" "$b4" "$(in_ns a getent ahostsv4 b.i3 | awk 'NR == 1 { print $1 }')"
has "the answer may not be cached" "^b\.i3\.[[:space:]]+0[[:space:]]+IN[[:space:]]+A" "$(ask b.i3)"
same "the name of a key resolves without an address book" "$(address4 a "${KEY[stranger]}.i3")" \
  "$(ask +short "${KEY[stranger]}.i3")"
same "b by its key is b" "$b4" "$(ask +short "${KEY[b]}.i3")"
same "a's own name gives its own address" "$(ask +short a.i3)" "$(ask +short "${KEY[a]}.i3")"
check "which is on its interface" in_ns a sh -c "ip -o addr show dev i3 | grep -qF ' $(address4 a a.i3)/'"

same "an unknown name is NXDOMAIN" NXDOMAIN "$(status nobody.i3)"
same "an unknown name is NXDOMAIN for IPv6 too" NXDOMAIN "$(status nobody.i3 AAAA)"
same "something that only looks like a key is NXDOMAIN" NXDOMAIN "$(status "${KEY[b]%?????}aaaaa.i3")"
mx=$(ask b.i3 MX)
same "another type of a known name is NOERROR" NOERROR "$(status b.i3 MX)"
has "without an answer" "ANSWER: 0" "$mx"
has "with the SOA of i3" "^i3\.[[:space:]].*SOA" "$mx"
same "ANY of a known name is NOERROR" NOERROR "$(status b.i3 ANY)"
has "letters come back as asked" "^B\.i3\." "$(ask B.i3)"
has "and mixed ones" "^;b\.I3\." "$(ask b.I3)"
same "PTR of the virtual address is its name" b.i3. "$(ask +short -x "$b4")"
same "PTR of the IPv6 address too" b.i3. "$(ask +short -x "$b6")"
same "the C library knows the name of the address" b.i3 "$(in_ns a getent hosts "$b4" | awk '{ print $2 }')"
same "many questions on one TCP connection" "$b4 198.51.100.77 $b4 " \
  "$(ask +short +tcp +keepopen b.i3 other.example b.i3 | tr '\n' ' ')"
same "programs are told not to go round us" NXDOMAIN "$(status use-application-dns.net)"

i=0
for question in "${questions[@]}"; do
  # shellcheck disable=SC2086
  outside $question > "$WORK/outside-after-$i"
  check "as without us: $question" diff "$WORK/outside-before-$i" "$WORK/outside-after-$i"
  i=$((i + 1))
done
lacks "no question for .i3 ever went to the resolver" "query\[.*\.i3 " "$(cat "$WORK/resolver.log")"

end proxy-a
start_proxy a
same "after a restart b has the same address" "$b4 $b6" "$(address4 a b.i3) $(address6 a b.i3)"
has "names shows b and its address" "$b4" "$(ctl a names)"
