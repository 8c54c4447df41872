# Owns routers with every kind of NAT, made of nftables and conntrack. Sourced after ../lib.sh.
#
# What Linux does by itself: `masquerade` keeps the inside port where it is free, for every destination,
# and lets in only what answers (port-restricted); with `fully-random` each destination has a port of its
# own (symmetric).

# nat_rules NAME KIND INSIDE [OUTSIDE-DEVICE]: replaces the NAT of router NAME; INSIDE is the one host.
nat_rules() {
  local name=$1 kind=$2 inside=$3 wan=${4:-wan} source=masquerade in="" open="" note=""
  case $kind in
    full-cone)
      in="iifname \"$wan\" udp dport 1024-65535 dnat to $inside"
      open="iifname \"$wan\" ip daddr $inside udp dport 1024-65535 accept" ;;
    address-restricted)
      # By inside port, which is the outside one as well.
      note="oifname \"$wan\" meta l4proto udp update @spoken_to { udp sport . ip daddr }"
      in="iifname \"$wan\" udp dport . ip saddr @spoken_to dnat to $inside"
      open="iifname \"$wan\" ip daddr $inside udp dport . ip saddr @spoken_to accept" ;;
    port-restricted) ;;
    symmetric) source="masquerade fully-random" ;;
    carrier) source="snat to 198.51.100.$5-198.51.100.$6 persistent" ;;
    *) fail "no NAT of kind $kind" ;;
  esac
  in_ns "$name" sh -c 'nft flush ruleset; cat | nft -f -' <<EOR || fail "NAT rules of $name"
table ip nat {
  set spoken_to { type inet_service . ipv4_addr; flags dynamic,timeout; timeout 120s; size 4096; }
  chain pre { type nat hook prerouting priority dstnat; $in; }
  chain post { type nat hook postrouting priority srcnat; oifname "$wan" $source; }
  chain forward { type filter hook forward priority filter; policy drop;
    $note; $open; ct state established,related accept; iifname "lan" accept; }
  chain input { type filter hook input priority filter; policy drop;
    ct state established,related accept; iifname { "lo", "lan" } accept; }
}
EOR
}

# nat_host NAME NUMBER KIND: a host behind a router r<NAME> of that kind, or none, or double.
nat_host() {
  local name=$1 number=$2 kind=$3
  case $kind in
    none)
      make_public "$name" eth0 "198.51.100.$((100 + number))/24"
      return ;;
    double)
      # A carrier's NAT with two addresses outside, and the home router behind it.
      make_public "c$name" wan "198.51.100.$((200 + 2 * number))/24" "198.51.100.$((201 + 2 * number))/24"
      in_ns "c$name" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
      new_host "r$name" 198.51.100.1
      cable "r$name" wan "c$name" lan
      addresses "c$name" lan "10.9.$number.1/24"
      addresses "r$name" wan "10.9.$number.2/24"
      in_ns "r$name" ip route add default via "10.9.$number.1"
      in_ns "r$name" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
      nat_rules "c$name" carrier "10.9.$number.2" wan $((200 + 2 * number)) $((201 + 2 * number))
      nat_rules "r$name" port-restricted "192.168.$number.2" ;;
    *)
      make_public "r$name" wan "198.51.100.$((100 + number))/24"
      in_ns "r$name" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
      nat_rules "r$name" "$kind" "192.168.$number.2" ;;
  esac
  new_host "$name" 198.51.100.1
  cable "$name" eth0 "r$name" lan
  addresses "r$name" lan "192.168.$number.1/24"
  addresses "$name" eth0 "192.168.$number.2/24"
  in_ns "$name" ip route add default via "192.168.$number.1"
}

# overlay_port HOST: the UDP port that its daemon sends from, where its NAT keeps it.
overlay_port() { field "$1" 'nat.observed[0]' status | sed 's/.*://'; }
ended() { ! runs "$1"; }
# reboot_nat NAME OUTSIDE INSIDE PORT NEW-PORT: forgets all bindings; from now on the inside port PORT
# stands outside as NEW-PORT, for every destination.
reboot_nat() {
  in_ns "$1" sh -c "nft insert rule ip nat post oifname wan ip saddr $3 udp sport $4 snat to $2:$5 && conntrack -F" ||
    fail "the NAT of $1 does not reboot"
}
path_to() { ctl "$1" --json peers 2>/dev/null | jq -r --arg n "$2" '.peers[] | select(.name == $n) | .path'; }
