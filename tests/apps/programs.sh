# Owns the checks with real programs that several tests share: from host a to host b, by name.
# Sourced after servers.sh; needs two_hosts and the servers on b.

# downloads MEGABYTES NAME: the same bytes over IPv4 and over IPv6.
check_download() {
  local sum family
  sum=$(big_file b "$2" "$1")
  for family in 4 6; do
    same "$1 MB over IPv$family arrive unchanged" "$sum" \
      "$(in_ns a curl "-$family" -sS -m 120 "http://b.i3/$2" | sha256sum | cut -d' ' -f1)"
  done
}
check_parallel() {  # COUNT
  local sum got
  sum=$(big_file b part 1)
  got=$(in_ns a sh -c 'seq '"$1"' | xargs -P '"$1"' -I{} sh -c "curl -sS -m 60 http://b.i3/part | sha256sum"' | sort | uniq -c | tr -s ' ' | tr -d '-')
  same "$1 parallel downloads of 1 MB are all unchanged" " $1 $sum " "$got"
}
check_ssh() {
  same "ssh runs a command there" "there" "$(ssh_from a b.i3 echo there 2>&1)"
  head -c 3M /dev/urandom > "$WORK/copied"
  check "scp copies a file there" scp_from a "$WORK/copied" "b.i3:$WORK/b/copied"
  check "the copy is equal" cmp "$WORK/copied" "$WORK/b/copied"
  check "scp copies it back" scp_from a "b.i3:$WORK/b/copied" "$WORK/a/copied"
  check "the copy of the copy is equal" cmp "$WORK/copied" "$WORK/a/copied"
}
check_ping() {
  local out family
  for family in 4 6; do
    out=$(in_ns a ping "-$family" -c 5 -i 0.2 -W 2 b.i3 2>&1)
    has "ping -$family answers five times" " 5 received" "$out"
    lacks "ping -$family reports nothing odd" "wrong|DUP|corrupt|Redirect|Unreachable" "$out"
  done
  has "ping with the largest payload that one packet carries" " 2 received" \
    "$(in_ns a ping -4 -M do -s 1300 -c 2 -i 0.2 -W 2 b.i3 2>&1)"
  has "ping with more than one packet carries" " 2 received" "$(in_ns a ping -4 -s 4000 -c 2 -i 0.2 -W 2 b.i3 2>&1)"
}
check_traceroute() {
  local family address out
  for family in 4 6; do
    address=$(field a "ipv$family" resolve b.i3)
    out=$(in_ns a traceroute "-$family" -n -w 2 -q 1 -m 5 b.i3 2>&1)
    has "traceroute -$family names the address that it looks for" "traceroute to b.i3 \($address\)" "$out"
    same "traceroute -$family ends at b" "$address" "$(awk 'END { print $2 }' <<< "$out")"
    lacks "traceroute -$family shows no refusal" "![HNXP]" "$out"
  done
}
check_udp() {
  local family bind
  for family in 4 6; do
    spawn "echo-$family" b socat "UDP$family-RECVFROM:7,fork" EXEC:cat
    wait_for 5 "the echo server" in_ns b sh -c "ss -Hnul sport = :7 | grep -q ."
    same "a datagram over IPv$family comes back" "question $family" \
      "$(in_ns a sh -c "echo 'question $family' | socat -t 3 -T 3 - UDP$family:b.i3:7")"
    end "echo-$family" KILL
  done
  spawn iperf b iperf3 -s -1
  wait_for 5 "iperf3" in_ns b sh -c "ss -Hntl sport = :5201 | grep -q ."
  # 2000 datagrams a second of 1200 bytes towards b, then from b.
  has "UDP towards b loses at most a few of its datagrams" "^[0-4](\.|$)" \
    "$(in_ns a iperf3 -J -u -c b.i3 -l 1200 -b 19200000 -t 2 | jq '.end.sum.lost_percent')"
  wait_gone "${PID[iperf]}" 5
  spawn iperf b iperf3 -s -1
  wait_for 5 "iperf3" in_ns b sh -c "ss -Hntl sport = :5201 | grep -q ."
  has "and so does UDP from b" "^[0-4](\.|$)" \
    "$(in_ns a iperf3 -J -R -u -c b.i3 -l 1200 -b 19200000 -t 2 | jq '.end.sum.lost_percent')"
}
# Passive ftp: the client opens the data connection, to the port that the server names.
check_ftp_passive() {
  same "curl fetches by passive ftp (EPSV)" "$FTP_SUM" "$(in_ns a curl -sS -m 20 ftp://b.i3/file | sha256sum)"
  same "the ftp program fetches in passive mode" "$FTP_SUM" "$(fetch_with_ftp -p)"
}
# With the server's own address inside the payload: works only where headers are preserved.
check_ftp_passive_address() {
  same "curl follows the address in a PASV answer" "$FTP_SUM" \
    "$(in_ns a curl -sS -m 20 --disable-epsv --no-ftp-skip-pasv-ip ftp://b.i3/file | sha256sum)"
}
# Active: the server opens the data connection, to the address that the client put into PORT.
check_ftp_active() {
  same "curl fetches by active ftp (PORT)" "$FTP_SUM" \
    "$(in_ns a curl -sS -m 20 --disable-eprt --ftp-port - ftp://b.i3/file | sha256sum)"
  same "curl fetches by active ftp (EPRT)" "$FTP_SUM" \
    "$(in_ns a curl -sS -m 20 --ftp-port - ftp://b.i3/file | sha256sum)"
  same "the ftp program fetches in active mode" "$FTP_SUM" "$(fetch_with_ftp -A)"
}
fetch_with_ftp() {
  rm -f "$WORK/a/fetched"
  printf 'user anonymous x@example\nbinary\nget file %s\nquit\n' "$WORK/a/fetched" |
    in_ns a timeout 30 tnftp "$1" -n b.i3 > "$WORK/ftp-client.log" 2>&1
  sha256sum < "$WORK/a/fetched"
}
prepare_ftp() {
  start_vsftpd b
  head -c 2M /dev/urandom > "$WORK/ftp-file"
  install -m 444 "$WORK/ftp-file" "$WORK/b/ftp/file"
  FTP_SUM=$(sha256sum < "$WORK/ftp-file")
}
