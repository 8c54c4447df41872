#!/bin/bash
# Protocols that carry addresses and ports in their payload, through i3-to-IP: ftp is in intranet.sh, here are
# tftp with curl and dnsmasq, and sip, irc, snmp, pptp and h323 with both ends of helpers.py. Only each
# protocol's usual port is open. A helper that the kernel lacks is named, and nothing fails for it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_intranet '<allow client="a" protocol="udp" ports="69,161,5060"/><allow client="a" protocol="tcp" ports="1720,1723,6667"/>' \
  allow='<allow from="corp-gateway"/>'
helpers=$(sed -n 's/.*nat_helpers have="*\([^" ]*\)"* .*/\1/p' "$WORK/gateway-g.log")
[ -n "$helpers" ] || fail "the log does not name the helpers"
server=$(addresses_of a four.corp.example A)
has "the server's name has an address" '^100\.' "$server"
# lacks_helper NAME: and says so.
lacks_helper() {
  case ",$helpers," in *",$1/"*) return 1 ;; esac
  say "the kernel lacks the helper of $1"
}

if ! lacks_helper tftp; then
  mkdir -p "$WORK/tftp"
  head -c 40000 /dev/urandom > "$WORK/tftp/file"
  end dns-s
  spawn dns-s s dnsmasq -C "$WORK/s/dnsmasq.conf" --enable-tftp --tftp-root="$WORK/tftp"
  wait_for 5 "the TFTP server" in_ns s sh -c "ss -Hnul sport = :69 | grep -q ."
  same "tftp: the data comes from another port than the one that was asked" "$(sha256sum < "$WORK/tftp/file")" \
    "$(in_ns a curl -s -m 15 tftp://four.corp.example/file | sha256sum)"
fi
# speak PROTOCOL WHOM: the server is told to answer WHOM, and the client hears it.
speak() {
  spawn "$1-server" s python3 "$I3_TREE/tests/netns/gateway/helpers.py" server "$1" 10.1.0.10
  wait_for 10 "the $1 server" grep -q ready "$WORK/$1-server.log"
  same "$1: the client is answered" answered \
    "$(in_ns a python3 "$I3_TREE/tests/netns/gateway/helpers.py" client "$1" "$server" 2>&1 | tail -n 1)"
  wait_gone "${PID[$1-server]}" 10 || fail "the $1 server does not end"
  unset "PID[$1-server]"
  same "$1: what it named is an address of the intranet" "$2" "$(tail -n 1 "$WORK/$1-server.log")"
}
for protocol in sip irc pptp; do lacks_helper $protocol || speak $protocol 10.1.0.1; done
lacks_helper snmp || speak snmp 10.1.0.10
lacks_helper Q.931 || speak h323 10.1.0.1
same "what no helper expects stays shut" 7 "$(in_ns a sh -c "curl -4 -s -m 5 http://four.corp.example:80/; echo \$?")"
