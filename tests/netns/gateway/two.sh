#!/bin/bash
# Two intranets with the same addresses at once, and the whole Internet through a gateway with exceptions.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_intranet
keygen h
make_intranet h 61 t lab.example
write_gateway h a '<allow client="a"/>'
start_gateway h
write_proxy a nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/><route match="(.+\.)?lab\.example" via="lab-gateway"/>'
know_gateway a corp-gateway g
know_gateway a lab-gateway h
check "a second gateway is added" ctl a reload
start_nginx s 80
start_nginx t 80
mkdir -p "$WORK/s/www" "$WORK/t/www"
echo "one of corp" > "$WORK/s/www/name"
echo "one of lab" > "$WORK/t/www/name"
page() { in_ns a curl -4 -s -m 10 "http://$1/name"; }
same "a machine of the one" "one of corp" "$(page www.corp.example)"
same "a machine of the other, with the same address" "one of lab" "$(page www.lab.example)"
same "by address, too" "one of corp" "$(page 10-1-0-10.corp-gateway.i3)"
same "at the other" "one of lab" "$(page 10-1-0-10.lab-gateway.i3)"
both=$(in_ns a sh -c 'curl -s -m 10 http://www.corp.example/name & curl -s -m 10 http://www.lab.example/name; wait')
has "both at the same time" "one of corp" "$both"
has "and the other" "one of lab" "$both"
refuse "they have different addresses here" [ "$(addresses_of a www.corp.example A)" = "$(addresses_of a www.lab.example A)" ]

# Everything through h, but what stands before it.
write_gateway h a '<allow client="a"/>' 198.51.100.1
check "h asks the Internet's resolver" ctl_gateway h reload
write_proxy a nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/><route suffix="other.example" via="ip"/><route match=".*" via="lab-gateway"/>'
know_gateway a corp-gateway g
know_gateway a lab-gateway h
check "everything goes through a gateway" ctl a reload
make_public p eth0 198.51.100.77/24
start_nginx p 80
start_nginx internet 80
same "the Internet sees the gateway" 198.51.100.61 "$(in_ns a curl -4 -s -m 10 http://real.example/who)"
same "an exception goes its own way" 198.51.100.101 "$(in_ns a curl -4 -s -m 10 http://other.example/who)"
same "the intranet as before" "one of corp" "$(page www.corp.example)"
same "errors are the Internet's" NXDOMAIN "$(rcode a missing.nowhere.example)"
check "the tunnel itself does not go through it" in_ns a ping -c 1 -W 3 real.example
