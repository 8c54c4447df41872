#!/bin/bash
# The guide of the intranet gateway (docs/guides/intranet-gateway.md), done as it stands there: its settings with
# the keys and addresses of this run, its commands, and the way there from a VPN that still runs beside.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
begin 90
guide=$I3_TREE/docs/guides/intranet-gateway.md
# block PATTERN: the guide's one XML block that matches.
block() {
  awk -v pattern="$1" '/^ *```xml/ { inside = 1; text = ""; next }
    /^ *```/ { if (inside && text ~ pattern) printf "%s", text; inside = 0 }
    inside { sub(/^   /, ""); text = text $0 "\n" }' "$guide"
}
make_internet
start_resolver
make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
keygen n1
start_node n1
make_host alice 1
# The intranet: a wiki and a build machine, by its own DNS; 10.20.0.1 is the gateway's machine.
make_public gate eth0 198.51.100.60/24
new_host wiki
cable gate lan wiki eth0
addresses gate lan 10.20.0.1/24
addresses wiki eth0 10.20.0.4/24 10.20.0.5/24
in_ns wiki ip route add default via 10.20.0.1
printf '%s\n' no-resolv no-hosts bind-interfaces interface=eth0 pid-file= user=root local=/corp.example/ \
  host-record=wiki.corp.example,10.20.0.4 host-record=build.corp.example,10.20.0.5 > "$WORK/wiki/dnsmasq.conf"
spawn dns wiki dnsmasq --no-daemon -C "$WORK/wiki/dnsmasq.conf"
echo "nameserver 10.20.0.4" > "$WORK/gate/etc/resolv.conf"
wait_for 10 "the intranet's DNS" in_ns gate dig +time=1 +tries=1 @10.20.0.4 wiki.corp.example
start_nginx wiki 80 8080
start_sshd wiki
PATH=$I3_BIN:$PATH
keys() { sed "s/52 letters/$1/; s/203\.0\.113\.7:5100/198.51.100.11:5100/"; }

# The VPN that is there already: it routes the whole network to a laptop, and forwards.
make_public bob eth0 198.51.100.70/24
for end in "bob 198.51.100.70 198.51.100.60 10.99.0.2" "gate 198.51.100.60 198.51.100.70 10.99.0.1"; do
  read -r host local remote address <<< "$end"
  in_ns "$host" ip link add vpn type vxlan id 7 local "$local" remote "$remote" dstport 4789 || fail "no tunnel"
  in_ns "$host" ip addr add "$address/24" dev vpn
  in_ns "$host" ip link set vpn up
done
in_ns gate sh -c 'for i in vpn lan; do echo 1 > /proc/sys/net/ipv4/conf/$i/forwarding; done'
in_ns bob ip route add 10.20.0.0/16 via 10.99.0.1

# ---- On the gateway
gateway_key=$(in_ns gate i3-ctl keygen /var/lib/i3/gateway.key)
has "step 1 prints the gateway's key" '^[a-z2-7]{52}$' "$gateway_key"
spawn proxy-alice alice i3-proxy
wait_for 15 "i3-proxy on the laptop" in_ns alice i3-ctl identity
alice_key=$(in_ns alice i3-ctl identity | grep -oE '[a-z2-7]{52}' | head -n 1)
block '<address-book>' | keys "$alice_key" > "$WORK/gate/etc/i3/book.xml"
block '<i3-to-ip' | keys "${KEY[n1]}" > "$WORK/gate/etc/i3/gateway.xml"
check "step 4: the guide's settings are right" in_ns gate i3-gateway --check-config
spawn gateway-gate gate i3-gateway
wait_for 15 "i3-gateway" gateway_ready gate
same "i3-ctl status says ready" true "$(ctl_gateway gate --json status | jq -r .ready)"

# ---- On a laptop
laptop=$WORK/alice/etc/i3
sed -i "s|</address-book>|$(block '^<gateway ' | keys "$gateway_key")\n&|" "$laptop/book.xml"
route=$(block '^<policy><route suffix="corp.example" via')
node=$(block '<i3-to-ip' | sed -n 's/^ *\(<overlay>.*<\/overlay>\)/\1/p' | keys "${KEY[n1]}")
# Where the file that the first start wrote has such elements, these take their place.
python3 - "$laptop/proxy.xml" "$node" "$route" <<'PY'
import re, sys
path, node, route = sys.argv[1:]
text = re.sub(r"<!--.*?-->", "", open(path).read(), flags=re.S)
for name, element in (("overlay", node), ("policy", route)):
    text = re.sub(rf"<{name}\b[^>]*?(/>|>.*?</{name}>)", "", text, flags=re.S)
    text = text.replace("</i3-proxy>", element + "\n</i3-proxy>")
open(path, "w").write(text)
PY
check "step 2: i3-ctl reload" in_ns alice i3-ctl reload
wait_for 20 "the gateway" in_ns alice i3-ctl ping corp-gateway -c 1
same "a page of the wiki" 10.20.0.1 "$(in_ns alice curl -s -m 10 http://wiki.corp.example/who)"
same "ssh to the build machine" there "$(ssh_from alice build.corp.example echo there 2>&1)"
check "ping of an address without a name" in_ns alice ping -c 1 -W 5 10-20-0-5.corp-gateway.i3

# ---- When it does not work
has "i3-ctl resolve says what the gateway said" '100\.' "$(in_ns alice i3-ctl resolve wiki.corp.example)"
has "a name that no rule gives" REFUSED "$(in_ns alice i3-ctl resolve wiki.corp.example.org.corp-gateway.i3 2>&1)"
has "a name that the intranet lacks" NXDOMAIN "$(in_ns alice i3-ctl resolve nobody.corp.example 2>&1)"
same "a port that is not in the line is refused at once" 7 \
  "$(in_ns alice sh -c 'curl -s -m 5 http://wiki.corp.example:8080/; echo $?')"
has "i3-ctl metrics counts it" 'event="closed_port"} [1-9]' "$(ctl_gateway gate metrics)"

# ---- Moving there from a VPN
keygen bob
write_proxy bob nodes=n1 more="$route"
sed -i "s|</address-book>|$(block '^<gateway ' | keys "$gateway_key")\n&|" "$WORK/bob/book.xml"
start_proxy bob
same "with the VPN, what is no name goes by it" 10.99.0.2 "$(in_ns bob curl -s -m 10 http://10.20.0.4/who)"
same "a laptop that no line names learns nothing" SERVFAIL "$(rcode bob wiki.corp.example)"
sed -i "s|</address-book>|  <host name=\"bob\" key=\"${KEY[bob]}\"/>\n&|" "$WORK/gate/etc/i3/book.xml"
sed -i 's|</i3-to-ip>|  <allow client="bob" names="(.+\\.)?corp\\.example" addresses="10.20.0.0/16"/>\n&|' "$WORK/gate/etc/i3/gateway.xml"
check "a line for it" ctl_gateway gate reload
# Who was found absent a moment ago is not asked anew at once (kAbsentFor).
names_answer() { [ "$(rcode bob wiki.corp.example)" = NOERROR ]; }
wait_for 5 "the gateway's answers" names_answer
same "the suffix goes by the gateway" 10.20.0.1 "$(in_ns bob curl -s -m 10 http://wiki.corp.example/who)"
same "while the VPN still carries the rest" 10.99.0.2 "$(in_ns bob curl -s -m 10 http://10.20.0.4/who)"
in_ns bob ip link del vpn
same "and with the VPN off the names work" there "$(ssh_from bob build.corp.example echo there 2>&1)"
same "a bare address has a name" 10.20.0.1 "$(in_ns bob curl -s -m 10 http://10-20-0-4.corp-gateway.i3/who)"
