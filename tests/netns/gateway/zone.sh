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
start_node n1
make_public g eth0 198.51.100.60/24 198.51.100.61/24 2001:db8:1::60/64
make_public x eth0 198.51.100.70/24 2001:db8:1::70/64
write_waypoint_gateway g "<ip-to-i3 zone=\"$ZONE\" contact=\"dns@example.org\" waypoints4=\"198.51.100.61\"
  waypoints6=\"2001:db8:7::/64\"><listen address=\"198.51.100.60:53\"/><listen address=\"[2001:db8:1::60]:53\"/>
  <nameserver name=\"ns1.$ZONE\" addresses=\"198.51.100.60\"/><nameserver name=\"ns2.$ZONE\" addresses=\"2001:db8:1::60\"/>
  </ip-to-i3>" shop
start_gateway g
S=@198.51.100.60
ask() { in_ns x dig +time=3 +tries=1 +norecurse "$@"; }
header() { ask "$@" | sed -n 's/^;; ->>HEADER<<-.*status: \([A-Z]*\).*/\1/p; s/^;; flags: \([a-z ]*\);.*/\1/p' | tr '\n' ' '; }

for server in $S @2001:db8:1::60; do
  for way in +notcp +tcp; do
    same "SOA by $server $way" "ns1.$ZONE. dns.example.org. 1 14400 3600 1209600 300" "$(ask $server $way +short "$ZONE" SOA)"
  done
  same "NS by $server" "ns1.$ZONE. ns2.$ZONE. " "$(ask $server +short "$ZONE" NS | sort | tr '\n' ' ')"
  same "its answers are authoritative and offer no recursion" "NOERROR qr aa " "$(header $server "$ZONE" SOA)"
done
has "the nameservers' addresses come along" "ns1.$ZONE.[[:space:]]+3600[[:space:]]+IN[[:space:]]+A[[:space:]]+198.51.100.60" "$(ask $S "$ZONE" NS)"
same "and are answered" "198.51.100.60 2001:db8:1::60" "$(ask $S +short "ns1.$ZONE" A) $(ask $S +short "ns2.$ZONE" AAAA)"
same "a nameserver without IPv6: no error" "NOERROR qr aa " "$(header $S "ns1.$ZONE" AAAA)"
has "a name has a waypoint, lifetime 0" "^shop.$ZONE.[[:space:]]+0[[:space:]]+IN[[:space:]]+A[[:space:]]+198.51.100.61" "$(ask $S "shop.$ZONE" A)"
has "and an IPv6 one" "^2001:db8:7:" "$(ask $S +short "shop.$ZONE" AAAA)"
has "letter case comes back" "sHoP.I3.eXample.ORG.[[:space:]]+0" "$(ask $S "sHoP.I3.eXample.ORG" A)"
same "a type it lacks is no error" "NOERROR qr aa " "$(header $S "shop.$ZONE" MX)"
same "DNSSEC's records at the zone: none, and no error" "NOERROR qr aa " "$(header $S +dnssec "$ZONE" DNSKEY)"
same "an unknown name" "NXDOMAIN qr aa " "$(header $S "nobody.$ZONE" A)"
has "with the SOA" "^$ZONE.[[:space:]]+300[[:space:]]+IN[[:space:]]+SOA" "$(ask $S "nobody.$ZONE" A)"
same "below a name there is nothing" "NXDOMAIN qr aa " "$(header $S "x.shop.$ZONE" A)"
same "outside the zone: refused, no referral upwards" "REFUSED qr " "$(header $S example.com A)"
same "nor the root" "REFUSED qr " "$(header $S . NS)"
same "no recursion for who wants it" "REFUSED qr rd " "$(header $S +recurse example.com A)"
has "no transfer" "Transfer failed" "$(ask $S "$ZONE" AXFR)"
same "ANY is answered small (RFC 8482)" '"RFC8482" ""' "$(ask $S +short +notcp "$ZONE" ANY)"
same "its version is nobody's business" "REFUSED qr " "$(header $S version.bind TXT CH)"
same "EDNS version 1" "BADVERS qr " "$(header $S +edns=1 +noednsnegotiation "$ZONE" SOA)"
same "an unknown EDNS option" "NOERROR qr aa " "$(header $S +ednsopt=65001:abcd "$ZONE" SOA)"
same "unknown EDNS flags" "NOERROR qr aa " "$(header $S +ednsflags=0x40 "$ZONE" SOA)"
has "EDNS says the size" "udp: 1232" "$(ask $S "$ZONE" SOA)"
lacks "none where none was asked" "EDNS" "$(ask $S +noedns "$ZONE" SOA)"
same "other operations" "NOTIMP qr " "$(header $S +opcode=NOTIFY "$ZONE" SOA)"
same "many questions on one connection" "1 1 1" "$(in_ns x dig $S +tcp +keepopen +norecurse +short "$ZONE" SOA "$ZONE" SOA "$ZONE" SOA | cut -d' ' -f3 | xargs)"
same "the gateway's own key is no name" "NXDOMAIN qr aa " "$(header $S "${KEY[g]}.$ZONE" A)"
