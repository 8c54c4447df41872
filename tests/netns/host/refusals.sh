#!/bin/bash
# What an operator gets wrong is refused at the start, with its place, the remedy and the exit code.
. "$(dirname "$0")/../lib.sh"
begin 110
make_internet
new_host h 198.51.100.1
cable h eth0 internet to-h
addresses h eth0 192.168.9.2/24
keygen h other
write_proxy h nodes=""
good=$(cat "$WORK/h/proxy.xml")
xml=$WORK/h/wrong.xml

# run PROGRAM ARGUMENTS...: sets STATUS and OUT, at most 10 s.
run() {
  OUT=$(in_ns h timeout 10 "$I3_BIN/$1" "${@:2}" 2>&1 < /dev/null)
  STATUS=$?
}
check "the settings that the cases below spoil are fine" in_ns h "$I3_BIN/i3-proxy" --check-config --config "$WORK/h/proxy.xml"

# wrong SENTENCE LINE REMEDY: the file on standard input is refused at that line with that remedy.
wrong() {
  cat > "$xml"
  run i3-proxy --check-config --config "$xml"
  same "$1: exit 2" 2 "$STATUS"
  has "$1: file, line, column" "$xml:$2:[0-9]+: " "$OUT"
  has "$1: the remedy" "$3" "$OUT"
}
wrong "an element that is not closed" 4 "." <<< $'<i3-proxy>\n<tun name="i3"/>\n<inbound>\n</i3-proxy>'
wrong "an unknown element" 2 "tunnel.*(allowed|tun)" <<< $'<i3-proxy>\n<tunnel name="i3"/></i3-proxy>'
wrong "an unknown attribute" 2 "nmae.*name" <<< $'<i3-proxy>\n<tun nmae="i3"/></i3-proxy>'
wrong "another root" 1 "i3-proxy" <<< '<i3-host/>'
wrong "a DTD" 1 "(DTD|DOCTYPE|document type)" <<< $'<!DOCTYPE i3-proxy [<!ENTITY x "y">]>\n<i3-proxy/>'
wrong "a pool that is no prefix" 2 "ipv4" <<< $'<i3-proxy>\n<virtual-addresses ipv4="100.64.0.0/99"/></i3-proxy>'
wrong "a range backwards" 3 "90-80" <<< $'<i3-proxy>\n<inbound>\n<allow from="*" ports="90-80"/></inbound></i3-proxy>'
wrong "a port over 65535" 2 "70000" <<< $'<i3-proxy>\n<inbound><allow from="*" ports="70000"/></inbound></i3-proxy>'
wrong "an unknown protocol" 2 "sctp.*tcp" <<< $'<i3-proxy>\n<inbound><allow from="*" protocol="sctp"/></inbound></i3-proxy>'
wrong "somebody who is in no book" 2 "carol" <<< $'<i3-proxy>\n<inbound><allow from="carol"/></inbound></i3-proxy>'
wrong "a node's key that is none" 2 "key" <<< $'<i3-proxy>\n<overlay><node address="198.51.100.11:5100" key="abc"/></overlay></i3-proxy>'
wrong "a node without a port" 2 "(port|ADDR)" <<< $'<i3-proxy>\n<overlay><node address="198.51.100.11"/></overlay></i3-proxy>'
wrong "a word where yes or no is meant" 2 "yes.*no" <<< $'<i3-proxy>\n<overlay shortcuts="perhaps"/></i3-proxy>'
wrong "an unknown way to intercept" 2 "redirect" <<< $'<i3-proxy>\n<dns intercept="magic"/></i3-proxy>'
wrong "a regular expression that is none" 2 "match" <<< $'<i3-proxy>\n<policy><route match="a(b" via="drop"/></policy></i3-proxy>'
wrong "a route to somebody unknown" 2 "nowhere" <<< $'<i3-proxy>\n<policy><route suffix="x.example" via="nowhere"/></policy></i3-proxy>'
wrong "blanks in an address" 2 "address" <<< $'<i3-proxy>\n<overlay><node address="198.51.100.11 :5100"/></overlay></i3-proxy>'

book=$WORK/h/wrong-book.xml
printf '<i3-proxy><identity key="%s"/><address-book file="%s"/></i3-proxy>\n' "$WORK/h.key" "$book" > "$WORK/h/with-book.xml"
# wrong_book SENTENCE LINE REMEDY
wrong_book() {
  cat > "$book"
  run i3-proxy --check-config --config "$WORK/h/with-book.xml"
  same "$1: exit 2" 2 "$STATUS"
  has "$1: the book's file, line, column" "$book:$2:[0-9]+: " "$OUT"
  has "$1: the remedy" "$3" "$OUT"
}
wrong_book "a host without a key" 2 "key" <<< $'<address-book>\n<host name="x"/></address-book>'
wrong_book "a host without a name" 2 "name" <<< "<address-book>"$'\n'"<host key=\"${KEY[other]}\"/></address-book>"
wrong_book "the same name twice" 3 "twice|already|again" <<< \
  "<address-book><host name=\"x\" key=\"${KEY[other]}\"/>"$'\n\n'"<host name=\"x\" key=\"${KEY[h]}\"/></address-book>"
wrong_book "a key of 51 characters" 2 "52" <<< $'<address-book>\n'"<host name=\"x\" key=\"${KEY[other]%?}\"/></address-book>"
wrong_book "a key with capital letters" 2 "key" <<< $'<address-book>\n'"<host name=\"x\" key=\"${KEY[other]^^}\"/></address-book>"
wrong_book "a name with a blank" 2 "name" <<< $'<address-book>\n'"<host name=\"x y\" key=\"${KEY[other]}\"/></address-book>"
rm "$book"
run i3-proxy --check-config --config "$WORK/h/with-book.xml"
same "a book that is not there: exit 2" 2 "$STATUS"
has "a book that is not there is named" "$book" "$OUT"

run i3-proxy --config "$WORK/h/absent.xml"
same "a configuration that is not there: exit 2" 2 "$STATUS"
run i3-proxy --no-such-option
same "an unknown option: exit 2" 2 "$STATUS"
run i3-node
same "a node without address to listen at: exit 2" 2 "$STATUS"
has "a node without address: what to give" "listen" "$OUT"
printf '<i3-node>\n<listen address="0.0.0.0:99999"/></i3-node>\n' > "$xml"
run i3-node --check-config --config "$xml"
same "a node's port over 65535: exit 2" 2 "$STATUS"
has "a node's wrong port: the place" "$xml:2:[0-9]+: " "$OUT"
for program in i3-node i3-proxy i3-ctl; do
  run "$program" --help
  same "$program --help: exit 0" 0 "$STATUS"
  run "$program" --version
  has "$program --version names itself" "$program.* [0-9]+\.[0-9]+" "$OUT"
done

# Keys: a daemon that starts with a readable key has no secret.
start_with_key() { printf '%s\n' "${good//$WORK\/h.key/$1}" > "$xml"; run i3-proxy --config "$xml"; }
cp "$WORK/h.key" "$WORK/loose.key"
chmod 644 "$WORK/loose.key"
start_with_key "$WORK/loose.key"
same "a key that others can read: exit 2" 2 "$STATUS"
has "a key that others can read: named, with the remedy" "loose.key.*(0?600|mode)" "$OUT"
ln -s "$WORK/h.key" "$WORK/link.key"
start_with_key "$WORK/link.key"
same "a key that is a symbolic link: exit 2" 2 "$STATUS"
has "a key that is a symbolic link: said" "link.key.*(symlink|symbolic)" "$OUT"
cp "$WORK/h.key" "$WORK/owned.key"
chmod 600 "$WORK/owned.key"
chown nobody "$WORK/owned.key"
start_with_key "$WORK/owned.key"
same "a key that belongs to somebody else: exit 2" 2 "$STATUS"
has "a key that belongs to somebody else: said" "owned.key.*own" "$OUT"
echo nonsense > "$WORK/bad.key"
chmod 600 "$WORK/bad.key"
start_with_key "$WORK/bad.key"
same "a key file with nonsense: exit 2" 2 "$STATUS"

# Privileges, and things of the kernel that somebody else has.
OUT=$(in_ns h setpriv --bounding-set=-net_admin --inh-caps=-all timeout 10 "$I3_BIN/i3-proxy" --config "$WORK/h/proxy.xml" 2>&1)
same "without the privilege: exit 3" 3 $?
has "without the privilege: which one" "CAP_NET_ADMIN" "$OUT"

dump_state h "$WORK/before"
spawn holder h socat TUN:10.99.0.1/32,tun-name=i3,tun-type=tun,iff-up PIPE
wait_for 5 "somebody else to hold i3" in_ns h sh -c "ip link show i3 | grep -q LOWER_UP"
run i3-proxy --config "$WORK/h/proxy.xml"
same "the TUN's name is taken: exit 1" 1 "$STATUS"
has "the TUN's name is taken: said" "i3.*(taken|exists|in use|busy)" "$OUT"
end holder
in_ns h ip link del i3 2>/dev/null

in_ns h ip route add 100.64.0.0/10 via 192.168.9.1
write_proxy h nodes="" pool=100.64.0.0/10
run i3-proxy --config "$WORK/h/proxy.xml"
has "a route into the pool: said, with the route" "100\.64\.0\.0/10" "$OUT"
has "a route into the pool: what to do" "virtual-addresses|ipv4" "$OUT"
same "a route into the pool: exit 1" 1 "$STATUS"
write_proxy h nodes=""
start_proxy h
lacks "unless the pool is ours to choose: then it is another one" "^100\." "$(address4 h h.i3)"
end proxy-h
in_ns h ip route del 100.64.0.0/10

spawn taker h socat -u UDP4-RECV:5100 OPEN:/dev/null
wait_for 5 "somebody else at the port" in_ns h sh -c "ss -Hnul sport = :5100 | grep -q ."
run i3-node --listen 192.168.9.2:5100
same "the port is taken: exit 1" 1 "$STATUS"
has "the port is taken: which" "5100.*(in use|taken)" "$OUT"
end taker
run i3-node --listen 192.168.9.77:5100
same "an address that is not ours: exit 1" 1 "$STATUS"
has "an address that is not ours: which" "192.168.9.77" "$OUT"
dump_state h "$WORK/after"
check "all these refusals left nothing behind" same_state "$WORK/before" "$WORK/after"

start_proxy h
run i3-proxy --config "$WORK/h/proxy.xml"
same "a second instance: exit 1" 1 "$STATUS"
has "a second instance: said" "(running|another)" "$OUT"
check "the first one is not disturbed" is_ready h
end proxy-h
run i3-ctl status
same "i3-ctl without a daemon: exit 1" 1 "$STATUS"
has "i3-ctl without a daemon: said, with the socket" "proxy.sock" "$OUT"
run i3-ctl keygen "$WORK/h.key"
same "keygen does not write over a key: exit 1" 1 "$STATUS"
same "keygen prints the key and nothing else" 52 "$(printf %s "${KEY[other]}" | wc -c)"
same "and writes its file for its owner only" 600 "$(stat -c %a "$WORK/other.key")"
