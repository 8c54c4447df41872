#!/bin/bash
# Shows the main job on real kernel interfaces: three nodes, two hosts each behind a NAT of its own, a
# web server, ssh and ping on one and unmodified curl, ssh and ping on the other, by name.
#   ./demo.sh          runs and leaves nothing behind
#   ./demo.sh --keep   leaves it running and opens a shell in host A; `exit` ends and removes it
set -u
cd "$(dirname "${BASH_SOURCE[0]}")"
case "${1:-}" in
  "" | --keep) keep=${1:-} ;;
  --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "unknown option $1; there are --keep and --help" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "The demonstration makes network namespaces and TUN interfaces: run it as root." >&2
  exit 3
fi

number=0
step() {
  number=$((number + 1))
  printf '\n[%d] %s\n' "$number" "$1"
}
# show HOST COMMAND...: prints the command as a person in that host would type it, runs it, and ends
# the demonstration if it fails.
show() {
  local host=$1
  shift
  printf '    %s# %s\n' "$host" "$*"
  in_ns "$host" timeout 30 "$@" 2>&1 < /dev/null | sed 's/^/    /'
  [ "${PIPESTATUS[0]}" = 0 ] || fail "'$*' in $host"
}

step "Install what is missing and build (quick the second time)"
.ci/install-packages.sh build run demo || exit 1
cmake --preset release > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
NINJA_STATUS='    [%f/%t %es] ' ninja -C build i3-node i3-proxy i3-ctl || exit 1

. tests/netns/lib.sh
. tests/apps/servers.sh
export PATH="$I3_BIN:$PATH"
begin 86400

step "Make an internet, two homes with a NAT each, and two hosts: laptop and web"
make_internet
start_resolver
for n in 1 2 3; do make_public "n$n" eth0 "198.51.100.1$n/24" "2001:db8:1::1$n/64"; done
make_host laptop 1
make_host web 2
cat <<'EOF'
      n1 .11     n2 .12     n3 .13          i3-node each
        |          |          |
    ====+==========+==========+====+==============+====  198.51.100.0/24
                                   |              |
                              NAT .101        NAT .102
                                   |              |
               laptop (host A) 192.168.1.2    192.168.2.2 web (host B)
EOF
if in_ns laptop ping -c 1 -W 1 192.168.2.2 > /dev/null 2>&1; then fail "the NATs do not separate the hosts"; fi
say "    laptop cannot reach web: each is behind its own NAT."

step "Start three nodes; they form a ring"
start_ring
show n1 i3-ctl --socket /run/i3/node.sock ring

step "Give both hosts a key, an address book with the other's name, and i3-proxy"
keygen laptop web
write_proxy laptop know=web
write_proxy web know=laptop allow='<allow from="laptop"/>'
say "    laptop's key: ${KEY[laptop]}"
say "    web's key:    ${KEY[web]}"
sed 's/^/    /' "$WORK/laptop/book.xml"
start_proxy laptop web
show laptop i3-ctl resolve web.i3

step "Start nginx and sshd on web"
start_nginx web
echo '<h1>Hello from a web server behind two NATs</h1>' > "$WORK/web/www/index.html"
start_sshd web
mkdir -p "$WORK/laptop/etc/ssh"
cat > "$WORK/laptop/etc/ssh/ssh_config" <<EOF
Host *.i3
  IdentityFile $WORK/ssh-key
  UserKnownHostsFile $WORK/known_hosts
  StrictHostKeyChecking accept-new
  LogLevel ERROR
EOF

step "Unmodified programs on laptop, by name"
show laptop curl -sS -m 10 http://web.i3/
show laptop curl -6 -sS -m 10 http://web.i3/
show laptop ssh -o ConnectTimeout=10 -o BatchMode=yes web.i3 'echo "this is a shell on $(cat /proc/sys/kernel/hostname)"'
show laptop ping -c 3 -i 0.3 -W 2 web.i3

step "What i3-ctl on laptop says about it"
show laptop i3-ctl peers

if [ -n "$keep" ]; then
  step "A shell in host A (laptop); try: curl http://web.i3/  ssh web.i3  ping web.i3  i3-ctl status"
  printf 'PS1="laptop# "\n' > "$WORK/laptop/shellrc"
  in_ns laptop bash --rcfile "$WORK/laptop/shellrc" -i
fi
step "Done: every step worked. Removing the namespaces, processes and files of this run."
exit 0
