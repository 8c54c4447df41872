#!/bin/bash
# i3-proxy and i3-gateway on one machine at once, each with virtual addresses of its own: what the machine
# serves and what its programs ask for go by the one, the intranet behind it by the other, both families.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_node a g host
make_host a 1
make_intranet g 60 s
write_gateway g a '<allow client="a"/>'
# The proxy on the machine g has a key of its own.
write_proxy g know="a host" nodes=n1 allow='<allow from="a"/>'
sed -i "s|$WORK/g.key|$WORK/host.key|; s|<address-book file=.*/>|<address-book file=\"$WORK/g/people.xml\"/>|" "$WORK/g/proxy.xml"
cp "$WORK/g/book.xml" "$WORK/g/people.xml"
write_gateway g a '<allow client="a"/>'
write_proxy a know=host nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/>' allow='<allow from="host"/>'
know_gateway a corp-gateway g
start_nginx s 80
start_nginx g 80
start_nginx a 80
echo "of the machine" > "$WORK/g/www/page"
echo "of the intranet" > "$WORK/s/www/page"
echo "of the client" > "$WORK/a/www/page"
page() { in_ns "$1" curl "$2" -sS -m 15 "http://$3/page"; }
all_work() {
  local family
  for family in -4 -6; do
    same "$1: the machine itself ($family)" "of the machine" "$(page a $family host.i3)"
    same "$1: what is behind it ($family)" "of the intranet" "$(page a $family www.corp.example)"
    same "$1: the machine's own programs reach the client ($family)" "of the client" "$(page g $family a.i3)"
  done
}

start_gateway g
start_proxy g a
networks() { in_ns g ip -o "$1" route show table main | sed -n "s/^\(\S*\) dev $2 .*/\1/p" | grep /; }
has "the gateway has a network" '/48$' "$(networks -6 i3-gateway)"
has "the proxy as well" '/48$' "$(networks -6 i3)"
refuse "and not the same one" [ "$(networks -6 i3)" = "$(networks -6 i3-gateway)" ]
refuse "of IPv4 neither" [ "$(networks -4 i3)" = "$(networks -4 i3-gateway)" ]
all_work "the gateway was first"

# A name of the intranet that leads into the other daemon's tunnel is given to nobody.
virtual=$(field g ipv4 status)
in_ns g dig +short +time=2 "a.i3" > "$WORK/client-at-g"
printf 'host-record=trap.corp.example,%s\nhost-record=trap2.corp.example,%s\n' "$virtual" "$(cat "$WORK/client-at-g")" \
  >> "$WORK/s/dnsmasq.conf"
end dns-s
spawn dns-s s dnsmasq -C "$WORK/s/dnsmasq.conf"
wait_for 10 "the intranet's DNS again" in_ns g dig +time=1 +tries=1 @10.1.0.10 trap.corp.example
same "the machine's virtual address" REFUSED "$(rcode a trap.corp.example)"
same "and its peer's" REFUSED "$(rcode a trap2.corp.example)"

end proxy-g
end gateway-g
start_proxy g
start_gateway g
# Inner addresses that the client still holds as fresh are of the networks that the gateway had before.
end proxy-a
forget a
start_proxy a
all_work "the proxy was first"
