# Owns the picture of waypoints, for the tests of IP-to-i3. Sourced after ../lib.sh, servers.sh and
# lib.sh.
#
#   internet 198.51.100.0/24 (see ../lib.sh)      resolver at .1: i3.example.org is asked of g
#     |            |              |        |
#   NAT of shop  NAT of files   gateway g  clients x .70 and y .71, which run nothing of ours
#     |            |            .60, zone i3.example.org; waypoints .61 and .62, 2001:db8:7::/64
#   host shop    host files

ZONE=i3.example.org

# start_zone_resolver NAMESERVER
start_zone_resolver() {
  printf '%s\n' no-resolv no-hosts keep-in-foreground bind-interfaces interface=net no-daemon pid-file= user=root \
    log-queries "server=/$ZONE/$1" host-record=real.example,198.51.100.1 > "$WORK/dnsmasq.conf"
  spawn resolver internet dnsmasq -C "$WORK/dnsmasq.conf"
  wait_for 10 "the resolver" in_ns internet dig +time=1 +tries=1 @198.51.100.1 real.example
}
# certificate NAME: at $WORK/NAME.crt and .key, for NAME below the zone.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1.$ZONE" \
    -addext "subjectAltName=DNS:$1.$ZONE" -keyout "$WORK/$1-tls.key" -out "$WORK/$1.crt" 2>> "$WORK/openssl.log" ||
    fail "no certificate"
}
# start_site HOST: HTTP and HTTPS that say the host's name; /who says the client's address.
start_site() {
  local host=$1 dir=$WORK/$1
  certificate "$host"
  mkdir -p "$dir/www" "$dir/nginx"
  {
    echo "daemon off; worker_processes 1; pid $dir/nginx/pid; error_log stderr warn; user root;"
    echo "events { worker_connections 4096; } worker_rlimit_nofile 8192;"
    echo "http { access_log off; sendfile on; root $dir/www; keepalive_timeout 60; default_type text/html;"
    for port in client_body proxy fastcgi uwsgi scgi; do echo "${port}_temp_path $dir/nginx/$port;"; done
    echo "server { listen 0.0.0.0:80 backlog=4096; listen [::]:80; listen 0.0.0.0:443 ssl; listen [::]:443 ssl;"
    echo "ssl_certificate $WORK/$host.crt; ssl_certificate_key $WORK/$host-tls.key;"
    echo "location = / { return 200 '<html><body>this is $host</body></html>'; }"
    echo 'location = /who { return 200 "$remote_addr\n"; } } }'
  } > "$dir/nginx/nginx.conf"
  spawn "nginx-$host" "$host" /usr/sbin/nginx -e stderr -p "$dir/nginx" -c "$dir/nginx/nginx.conf"
  wait_for 10 "nginx on $host" in_ns "$host" curl -s -m 1 -o /dev/null http://127.0.0.1/who
}
# write_waypoint_gateway GATEWAY ELEMENT KNOWN...: ELEMENT is <ip-to-i3>, KNOWN the hosts of its book.
write_waypoint_gateway() {
  local g=$1 element=$2 other
  shift 2
  mkdir -p "$WORK/$g"
  {
    echo '<address-book>'
    for other in "$@"; do printf '  <host name="%s" key="%s"/>\n' "$other" "${KEY[$other]}"; done
    echo '</address-book>'
  } > "$WORK/$g/book.xml"
  cat > "$WORK/$g/gateway.xml" <<XML
<i3-gateway>
  <identity key="$WORK/$g.key"/>
  <overlay>
$(node_entries 4 n1)
  </overlay>
  $element
  <address-book file="$WORK/$g/book.xml"/>
</i3-gateway>
XML
}
# one_gateway [ATTRIBUTES]: all of the picture.
one_gateway() {
  local host number=2
  make_internet
  start_zone_resolver 198.51.100.60
  make_public n1 eth0 198.51.100.11/24 2001:db8:1::11/64
  keygen n1 shop files g
  start_node n1
  make_public g eth0 198.51.100.60/24 198.51.100.61/24 198.51.100.62/24 2001:db8:1::60/64
  make_public x eth0 198.51.100.70/24 2001:db8:1::70/64
  make_public y eth0 198.51.100.71/24 2001:db8:1::71/64
  for host in x y; do in_ns "$host" ip -6 route add 2001:db8:7::/64 via 2001:db8:1::60; done
  for host in shop files; do
    make_host "$host" $((number++))
    write_proxy "$host" know=g nodes=n1 intercept=none allow='<allow from="g"/>'
  done
  dump_state g "$WORK/before"
  write_waypoint_gateway g "<ip-to-i3 zone=\"$ZONE\" listen=\"198.51.100.60:53\"
    waypoints4=\"198.51.100.61-198.51.100.62\" waypoints6=\"2001:db8:7::/64\" ${1:-}/>" shop files
  start_gateway g
  start_proxy shop files
}
# at WAYPOINT HOST CURL-ARGUMENTS...: curl from there, without any DNS question.
at() {
  local waypoint=$1 host=$2 name
  shift 2
  in_ns "$host" curl -s -m 10 $(for name in shop files nobody; do
    printf -- '--resolve %s.%s:80:%s --resolve %s.%s:443:%s ' "$name" "$ZONE" "$waypoint" "$name" "$ZONE" "$waypoint"
  done) "$@"
}
# from_ip GATEWAY FIELD: of its status.
from_ip() { ctl_gateway "$1" --json status | jq -r ".ip_to_i3.$2"; }
is_from_ip() { [ "$(from_ip "$1" "$2")" = "$3" ]; }
# visitor_event GATEWAY EVENT
visitor_event() { ctl_gateway "$1" metrics | sed -n "s/^i3_gateway_visitor_events_total{event=\"$2\"} //p"; }
