#!/bin/bash
# <metrics listen="..."/>: Prometheus fetches a node's and a host's counters over HTTP, from the one
# address that the settings name and no other; off unless it is asked for.
. "$(dirname "$0")/../lib.sh"
begin 60
make_internet
make_public n1 eth0 198.51.100.11/24
make_public p eth0 198.51.100.50/24
keygen n1 p
mkdir -p "$WORK/n1"
node_settings() {
  printf '<i3-node><identity key="%s/n1.key"/><listen address="198.51.100.11:5100"/>%s</i3-node>\n' "$WORK" "$1" \
    > "$WORK/n1/node.xml"
}
metrics='<metrics listen="127.0.0.1:9413"/>'
fetch() { in_ns "$1" curl -s -m 5 "${@:3}" "http://$2/metrics"; }

node_settings '<metrics listen="0.0.0.0:9413"/>'
out=$(in_ns n1 "$I3_BIN/i3-node" --config "$WORK/n1/node.xml" 2>&1)
same "a node refuses to serve metrics to everybody" 2 $?
has "and says where to" 'node.xml:1:[0-9]+: listen="0.0.0.0:9413" names no address of its own; write 127.0.0.1:PORT' "$out"
node_settings "$metrics"
spawn node-n1 n1 "$I3_BIN/i3-node" --config "$WORK/n1/node.xml"
wait_for 10 "the node's metrics" fetch n1 127.0.0.1:9413 -f
refuse "they are not to be had from outside" in_ns p curl -s -m 2 http://198.51.100.11:9413/metrics

write_proxy p nodes=n1 more="$metrics"
start_proxy p
wait_for 10 "the host's metrics" fetch p 127.0.0.1:9413 -f
has "a host says that it is ready" '^i3_proxy_ready 1$' "$(fetch p 127.0.0.1:9413)"
has "what each metric is stands before it" '^# TYPE i3_proxy_dns_total counter$' "$(fetch p 127.0.0.1:9413)"
has "the form is that of Prometheus" 'Content-Type: text/plain; version=0\.0\.4' "$(fetch p 127.0.0.1:9413 -i)"
has "a node says how many triggers it stores" '^i3_node_triggers [1-9]' "$(fetch n1 127.0.0.1:9413)"
same "i3-ctl shows the same metrics" "$(fetch p 127.0.0.1:9413 | grep -o '^i3_[^ ]*' | sort)" \
  "$(ctl p metrics | grep -o '^i3_[^ ]*' | sort)"
same "nothing else is there" 404 "$(in_ns p curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9413/)"
same "and nothing but GET" 405 "$(fetch p 127.0.0.1:9413 -X POST -o /dev/null -w '%{http_code}')"
worker=$(worker_of p)
in_ns p kill -9 "$worker"
wait_for 10 "a new worker" is_ready p
has "a new worker serves them on" '^i3_proxy_workers 2$' "$(fetch p 127.0.0.1:9413)"

sed 's/9413/9414/' "$WORK/p/proxy.xml" > "$WORK/p/other.xml" && cp "$WORK/p/other.xml" "$WORK/p/proxy.xml"
has "another port takes a restart, and reload says so" "<metrics> changed: takes effect after a restart" "$(ctl p reload)"
end proxy-p
spawn taken p socat TCP-LISTEN:9414,bind=127.0.0.1,fork EXEC:true
wait_for 5 "somebody on the port" in_ns p sh -c 'ss -Hltn | grep -q :9414'
out=$(in_ns p timeout 10 "$I3_BIN/i3-proxy" --config "$WORK/p/proxy.xml" 2>&1)
same "a taken port ends the start" 1 $?
has "and is named" "TCP port 9414 of 127.0.0.1 .* is taken by another program" "$out"
