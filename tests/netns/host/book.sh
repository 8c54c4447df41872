#!/bin/bash
# The address book and the policy change while the daemon runs; a wrong file changes nothing.
. "$(dirname "$0")/../lib.sh"
. "$I3_TREE/tests/apps/servers.sh"
begin 110
home_network
start_ring
keygen a b late
write_proxy a know=b policy='<route suffix="ads.example" via="drop"/><route match="other\.example" via="ip"/>'
write_proxy b know=a allow='<allow from="a"/>'
start_proxy a b
start_nginx b
ask() { in_ns a dig +tries=1 +time=3 +short "$@" 2>/dev/null; }
status() { in_ns a dig +tries=1 +time=3 "$@" 2>/dev/null | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
unknown() { [ "$(status "$1")" = NXDOMAIN ]; }
known() { [ "$(status "$1")" = NOERROR ]; }
import_book() {
  printf '<address-book><host name="dee" key="%s"/></address-book>\n' "${KEY[a]}" > "$WORK/a/more.xml"
  ctl a book import "$WORK/a/more.xml"
}
b4=$(address4 a b.i3)
check "b is reached" in_ns a curl -sf -m 5 -o /dev/null http://b.i3/who
same "a name that is not in the book is unknown" NXDOMAIN "$(status late.i3)"
check "book add" ctl a book add late "${KEY[late]}"
wait_for 5 "the new name" known late.i3
has "a name added with book add resolves" "^100\." "$(ask late.i3)"
has "book list shows it" "late" "$(ctl a book list)"
has "the file holds it" "name=\"late\"" "$(cat "$WORK/a/book.xml")"
refuse "the same name with another key is refused" ctl a book add late "${KEY[b]}"
check "book remove" ctl a book remove late
wait_for 5 "the name to go" unknown late.i3

printf '<address-book><host name="bee" key="%s"/></address-book>\n' "${KEY[b]}" > "$WORK/a/book.xml"
check "the file is edited and read again" ctl a reload
same "the new name has the old address, for it is the same key" "$b4" "$(ask bee.i3)"
check "and works" in_ns a curl -sf -m 5 -o /dev/null http://bee.i3/who
same "the old name is gone" NXDOMAIN "$(status b.i3)"
printf '<address-book><host name="bee"/></address-book>\n' > "$WORK/a/book.xml"
out=$(ctl a reload 2>&1)
same "a wrong book is refused: exit 1" 1 $?
has "a wrong book is refused: with its place" "$WORK/a/book.xml:1:[0-9]+" "$out"
same "and the old one stays" "$b4" "$(ask bee.i3)"
kill -HUP "${PID[proxy-a]}"
wait_for 5 "the refusal in the log" grep -qE "book.xml:1:[0-9]+" "$WORK/proxy-a.log"
same "by SIGHUP too" "$b4" "$(ask bee.i3)"
printf '<address-book><host name="bee" key="%s"/><host name="cee" key="%s"/></address-book>\n' "${KEY[b]}" "${KEY[late]}" > "$WORK/a/book.xml"
kill -HUP "${PID[proxy-a]}"
wait_for 5 "the book after SIGHUP" known cee.i3
check "import takes a file" import_book
same "the imported name resolves" NOERROR "$(status dee.i3)"

same "a name whose policy is drop does not resolve" NXDOMAIN "$(status tracker.ads.example)"
same "nor the suffix itself" NXDOMAIN "$(status ads.example)"
same "a name whose policy is ip is the resolver's" 198.51.100.77 "$(ask other.example)"
same "and so is one that no line names" 198.51.100.1 "$(ask real.example)"
write_proxy a know=b policy='<route match="real\.example" via="drop"/><route match=".*\.example" via="ip"/>'
check "a policy is changed" ctl a reload
same "the first line that fits decides" NXDOMAIN "$(status real.example)"
same "the later one for the others" 198.51.100.77 "$(ask other.example)"
