#!/bin/bash
# i3-to-IP with unmodified programs: host a reaches machines that run nothing, by their own names, through
# a gateway at their network's edge; and DNS errors are what the intranet's DNS says.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
. "$(dirname "$0")/lib.sh"
begin 120
one_node a g
make_host a 1
make_intranet g 60 s
dump_state g "$WORK/before"
write_gateway g a '<allow client="a"/>'
# Active ftp: the server opens a connection to the client, who has to let it in.
write_proxy a nodes=n1 policy='<route suffix="corp.example" via="corp-gateway"/>' \
  allow='<allow from="corp-gateway" protocol="tcp"/>'
know_gateway a corp-gateway g
start_gateway g
start_proxy a
start_nginx s 80
start_sshd s
start_vsftpd s

has "a name of the intranet has a virtual address" '^100\.' "$(addresses_of a www.corp.example A)"
has "of both families where it has them there" '^fd5f:' "$(addresses_of a www.corp.example AAAA)"
same "and none of a family that it lacks" "" "$(addresses_of a four.corp.example AAAA)"
same "which is no error" NOERROR "$(rcode a four.corp.example AAAA)"
same "a name that does not exist" NXDOMAIN "$(rcode a nobody.corp.example)"
same "letter case does not matter" "$(addresses_of a www.corp.example A)" "$(addresses_of a WWW.Corp.Example A)"
same "other names are not the gateway's" 198.51.100.1 "$(addresses_of a real.example A)"
same "the virtual address bears the name" www.corp.example. \
  "$(in_ns a dig +short -x "$(addresses_of a www.corp.example A)")"
same "i3-ctl resolves it as well" "$(addresses_of a www.corp.example A)" "$(address4 a www.corp.example)"

same "curl by IPv4; the server sees the gateway" 10.1.0.1 "$(in_ns a curl -4 -s -m 10 http://www.corp.example/who)"
same "curl by IPv6" fd10::1 "$(in_ns a curl -6 -s -m 10 http://www.corp.example/who)"
same "curl by an alias" 10.1.0.1 "$(in_ns a curl -4 -s -m 10 http://alias.corp.example/who)"
sum=$(big_file s file 20)
same "20 MB arrive unchanged" "$sum" \
  "$(in_ns a curl -4 -sS -m 60 http://www.corp.example/file | sha256sum | cut -d' ' -f1)"
has "ping -4" " 3 received" "$(in_ns a ping -4 -c 3 -i 0.2 -W 2 www.corp.example 2>&1)"
has "ping -6" " 3 received" "$(in_ns a ping -6 -c 3 -i 0.2 -W 2 www.corp.example 2>&1)"
same "ssh" there "$(ssh_from a www.corp.example echo there 2>&1)"
spawn echo s socat UDP4-RECVFROM:7,fork EXEC:cat
wait_for 5 "the echo server" in_ns s sh -c "ss -Hnul sport = :7 | grep -q ."
same "UDP" question "$(in_ns a sh -c "echo question | socat -t 3 -T 3 - UDP4:www.corp.example:7")"
same "a closed port refuses at once, as it would there" 7 \
  "$(in_ns a sh -c 'curl -4 -s -m 5 http://www.corp.example:81/; echo $?')"

head -c 1M /dev/urandom > "$WORK/ftp-file"
install -m 444 "$WORK/ftp-file" "$WORK/s/ftp/file"
ftp_sum=$(sha256sum < "$WORK/ftp-file")
fetch() { in_ns a curl -4 -sS -m 20 "$@" ftp://four.corp.example/file | sha256sum; }
same "passive ftp" "$ftp_sum" "$(fetch)"
same "passive ftp, where the client takes the address in the answer" "$ftp_sum" \
  "$(fetch --disable-epsv --no-ftp-skip-pasv-ip)"
same "active ftp" "$ftp_sum" "$(fetch --disable-eprt --ftp-port -)"

same "a machine without a name" 10.1.0.1 "$(in_ns a curl -4 -s -m 10 http://10-1-0-11.corp-gateway.i3/who)"
same "one without a name, by IPv6" fd10::1 "$(in_ns a curl -6 -s -m 10 http://fd10--10.corp-gateway.i3/who)"
same "any name there, by the gateway's own" 10.1.0.1 \
  "$(in_ns a curl -4 -s -m 10 http://www.corp.example.corp-gateway.i3/who)"

has "i3-ctl lists the name" "www.corp.example" "$(ctl a names)"
has "the gateway counts its client" '"clients": *1' "$(ctl_gateway g --json status | jq -c .i3_to_ip)"
end dns-s KILL
same "a DNS server that does not answer" SERVFAIL "$(rcode a later.corp.example)"
end gateway-g
start=$(now_ms)
same "a gateway that is not there" SERVFAIL "$(rcode a gone.corp.example)"
within "is said soon: seconds" 0 6 "$(awk -v t=$(($(now_ms) - start)) 'BEGIN { print t / 1000 }')"
dump_state g "$WORK/after"
check "the gateway puts everything back" same_state "$WORK/before" "$WORK/after"
