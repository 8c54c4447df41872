#!/bin/bash
# The zone as a public DNS checker asks it (docs/ip-to-i3.md names the rules), with dig, over UDP and TCP,
# IPv4 and IPv6.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/waypoint_lib.sh"
begin 90
make_internet
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
keygen n1 shop g
KEY[deep.below]=${KEY[shop]}
start_node n1
make_public g eth0 198.51.100.60/24 198.51.100.61/24 2001:db8:1::60/64
make_public x eth0 198.51.100.70/24 2001:db8:1::70/64
write_waypoint_gateway g "<ip-to-i3 zone=\"$ZONE\" contact=\"dns@example.org\" waypoints4=\"198.51.100.61\"
  waypoints6=\"2001:db8:7::/64\"><listen address=\"198.51.100.60:53\"/><listen address=\"[2001:db8:1::60]:53\"/>
  <nameserver name=\"ns1.$ZONE\" addresses=\"198.51.100.60\"/><nameserver name=\"ns2.$ZONE\" addresses=\"2001:db8:1::60\"/>
  </ip-to-i3>" shop deep.below
start_gateway g
S=@198.51.100.60
ask() { in_ns x dig +time=3 +tries=1 +norecurse "$@"; }
header() { ask "$@" | sed -n 's/^;; ->>HEADER<<-.*status: \([A-Z]*\).*/\1/p; s/^;; flags: \([a-z ]*\);.*/\1/p' | tr '\n' ' '; }

for server in $S @2001:db8:1::60; do
  for way in +notcp +tcp; do
    same "basic02, connectivity01 and 02, consistency01 to 03, zone02 to 06: SOA by $server $way" "ns1.$ZONE. dns.example.org. 1 14400 3600 1209600 300" "$(ask $server $way +short "$ZONE" SOA)"
  done
  same "delegation04, consistency04 and 05: NS by $server" "ns1.$ZONE. ns2.$ZONE. " "$(ask $server +short "$ZONE" NS | sort | tr '\n' ' ')"
  same "nameserver01, delegation06: its answers are authoritative and offer no recursion" "NOERROR qr aa " "$(header $server "$ZONE" SOA)"
done
has "delegation07: the nameservers' addresses come along" "ns1.$ZONE.[[:space:]]+3600[[:space:]]+IN[[:space:]]+A[[:space:]]+198.51.100.60" "$(ask $S "$ZONE" NS)"
same "nameserver06: and are answered" "198.51.100.60 2001:db8:1::60" "$(ask $S +short "ns1.$ZONE" A) $(ask $S +short "ns2.$ZONE" AAAA)"
same "nameserver05: a nameserver without IPv6: no error" "NOERROR qr aa " "$(header $S "ns1.$ZONE" AAAA)"
has "a name has a waypoint, lifetime 0" "^shop.$ZONE.[[:space:]]+0[[:space:]]+IN[[:space:]]+A[[:space:]]+198.51.100.61" "$(ask $S "shop.$ZONE" A)"
has "and an IPv6 one" "^2001:db8:7:" "$(ask $S +short "shop.$ZONE" AAAA)"
has "nameserver08 and 09: letter case comes back" "sHoP.I3.eXample.ORG.[[:space:]]+0" "$(ask $S "sHoP.I3.eXample.ORG" A)"
same "a type it lacks is no error" "NOERROR qr aa " "$(header $S "shop.$ZONE" MX)"
same "dnssec: no DNSKEY at the zone, and no error" "NOERROR qr aa " "$(header $S +dnssec "$ZONE" DNSKEY)"
same "an unknown name" "NXDOMAIN qr aa " "$(header $S "nobody.$ZONE" A)"
has "with the SOA" "^$ZONE.[[:space:]]+300[[:space:]]+IN[[:space:]]+SOA" "$(ask $S "nobody.$ZONE" A)"
same "below a name there is nothing" "NXDOMAIN qr aa " "$(header $S "x.shop.$ZONE" A)"
same "nameserver11: outside the zone: refused, no referral upwards" "REFUSED qr " "$(header $S example.com A)"
same "nor the root" "REFUSED qr " "$(header $S . NS)"
same "nameserver07: no recursion for who wants it" "REFUSED qr rd " "$(header $S +recurse example.com A)"
has "nameserver03: no transfer" "Transfer failed" "$(ask $S "$ZONE" AXFR)"
same "ANY is answered small (RFC 8482)" '"RFC8482" ""' "$(ask $S +short +notcp "$ZONE" ANY)"
same "nameserver15: its version is nobody's business" "REFUSED qr " "$(header $S version.bind TXT CH)"
same "nameserver10: EDNS version 1" "BADVERS qr " "$(header $S +edns=1 +noednsnegotiation "$ZONE" SOA)"
same "nameserver12: an unknown EDNS option" "NOERROR qr aa " "$(header $S +ednsopt=65001:abcd "$ZONE" SOA)"
same "nameserver13: unknown EDNS flags" "NOERROR qr aa " "$(header $S +ednsflags=0x40 "$ZONE" SOA)"
has "nameserver02: EDNS says the size" "udp: 1232" "$(ask $S "$ZONE" SOA)"
lacks "none where none was asked" "EDNS" "$(ask $S +noedns "$ZONE" SOA)"
lacks "and is not echoed" "^; OPT=65001" "$(ask $S +ednsopt=65001:abcd "$ZONE" SOA)"
same "dnssec: no DS either" "NOERROR qr aa " "$(header $S +dnssec "$ZONE" DS)"
lacks "nameserver04: answers come from the address that was asked" "reply from unexpected source" "$(ask @198.51.100.61 "$ZONE" SOA; ask $S "$ZONE" SOA)"
same "syntax04 to 06: the contact is an address of mail, the servers have names of hosts" "dns.example.org." \
  "$(ask $S +short "$ZONE" SOA | cut -d' ' -f2)"
same "zone01, delegation05, zone07: the SOA's server is one of the zone's, and no alias" "NOERROR ns1.$ZONE." \
  "$(header $S "ns1.$ZONE" CNAME | cut -d' ' -f1) $(ask $S +short "$ZONE" NS | grep -x "$(ask $S +short "$ZONE" SOA | cut -d' ' -f1)")"
same "zone10: one SOA record" 1 "$(ask $S +short "$ZONE" SOA | wc -l)"
same "delegation02: the servers have addresses of their own" 2 \
  "$({ ask $S +short "ns1.$ZONE" A; ask $S +short "ns2.$ZONE" AAAA; } | sort -u | wc -l)"
within "delegation03: NS and the servers' addresses fit into 512 bytes" 1 512 \
  "$(ask $S +noedns "$ZONE" NS | sed -n 's/^;; MSG SIZE  rcvd: //p')"
same "RFC 8020: a name that only has names below it exists" "NOERROR qr aa " "$(header $S "below.$ZONE" A)"
same "other operations" "NOTIMP qr " "$(header $S +opcode=NOTIFY "$ZONE" SOA)"
same "many questions on one connection" "1 1 1" "$(in_ns x dig $S +tcp +keepopen +norecurse +short "$ZONE" SOA "$ZONE" SOA "$ZONE" SOA | cut -d' ' -f3 | xargs)"
same "the gateway's own key is no name" "NXDOMAIN qr aa " "$(header $S "${KEY[g]}.$ZONE" A)"
