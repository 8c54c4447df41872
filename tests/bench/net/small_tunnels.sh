# Owns how i3 and other tunnel programs are started anew between the hosts p and q, used once, and
# ended: with_i3, with_bare and with_fastd call WORK NAME ADDRESS. Sourced after lib.sh and figures.sh.
# `bare` is bare_tunnel.cc, the least that a program in this place can do.
. "$(dirname "$0")/pair.sh"

with_cable() { "$1" cable "$cable_to"; }
with_i3() {
  start_pair
  "$1" i3 "$(address4 p q.i3)"
  end proxy-p
  end proxy-q
}
with_bare() {
  spawn bare-q q "$I3_BIN/bare_tunnel" bare 10.200.100.2/24 198.51.100.50
  spawn bare-p p "$I3_BIN/bare_tunnel" bare 10.200.100.1/24 198.51.100.51
  wait_for 10 "the bare tunnel" answers 10.200.100.2
  "$1" bare 10.200.100.2
  end bare-p
  end bare-q
}
# fastd_config HOST PEER'S-ADDRESS OWN-SECRET PEER'S-KEY ADDRESS-INSIDE
fastd_config() {
  cat > "$WORK/$1/fastd.conf" << EOF
log level warn;
interface "fastd0";
method "salsa2012+umac";
mtu 1406;
secret "$3";
bind 0.0.0.0:10000;
mode tun;
on up "ip addr add $5/24 dev fastd0; ip link set fastd0 up";
peer "other" { key "$4"; remote $2:10000; }
EOF
}
secret_of() { sed -n 's/^Secret: //p' "$WORK/$1/fastd.key"; }
public_of() { sed -n 's/^Public: //p' "$WORK/$1/fastd.key"; }
with_fastd() {
  spawn fastd-q q fastd -c "$WORK/q/fastd.conf"
  spawn fastd-p p fastd -c "$WORK/p/fastd.conf"
  wait_for 60 "fastd" answers 10.201.100.2
  "$1" fastd 10.201.100.2
  end fastd-p
  end fastd-q
}
kinds="bare i3"
if command -v fastd > /dev/null; then
  kinds="$kinds fastd"
  for h in p q; do fastd --generate-key > "$WORK/$h/fastd.key" 2>&1; done
  fastd_config p 198.51.100.51 "$(secret_of p)" "$(public_of q)" 10.201.100.1
  fastd_config q 198.51.100.50 "$(secret_of q)" "$(public_of p)" 10.201.100.2
fi
