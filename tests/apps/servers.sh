# Owns the real programs that the tests reach over the overlay, each with settings and keys of its
# own below $WORK. Sourced after tests/netns/lib.sh.

# start_nginx HOST [PORT...]: serves $WORK/HOST/www, IPv4 and IPv6; answers /who with the client's address.
start_nginx() {
  local host=$1 dir=$WORK/$1 port
  shift
  [ $# -gt 0 ] || set -- 80
  mkdir -p "$dir/www" "$dir/nginx"
  {
    echo "daemon off; worker_processes 1; pid $dir/nginx/pid; error_log stderr warn; user root;"
    echo 'events { worker_connections 512; }'
    echo "http { access_log off; sendfile on; root $dir/www; default_type application/octet-stream;"
    for port in client_body proxy fastcgi uwsgi scgi; do echo "${port}_temp_path $dir/nginx/$port;"; done
    echo 'server {'
    for port in "$@"; do echo "listen 0.0.0.0:$port; listen [::]:$port;"; done
    echo 'location = /who { return 200 "$remote_addr\n"; } } }'
  } > "$dir/nginx/nginx.conf"
  spawn "nginx-$host" "$host" /usr/sbin/nginx -e stderr -p "$dir/nginx" -c "$dir/nginx/nginx.conf"
  wait_for 10 "nginx on $host" in_ns "$host" curl -s -m 1 -o /dev/null "http://127.0.0.1:$1/who"
}
# big_file HOST NAME MEGABYTES: random bytes at http://HOST/NAME; prints their SHA-256.
big_file() {
  mkdir -p "$WORK/$1/www"
  head -c "${3}M" /dev/urandom > "$WORK/$1/www/$2"
  sha256sum < "$WORK/$1/www/$2" | cut -d' ' -f1
}

# start_sshd HOST: port 22, lets $WORK/ssh-key in as root.
start_sshd() {
  local host=$1 dir=$WORK/$1/ssh
  mkdir -p "$dir"
  chmod 700 "$dir"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
  [ -e "$WORK/ssh-key" ] || ssh-keygen -q -t ed25519 -N '' -C test -f "$WORK/ssh-key"
  cp "$WORK/ssh-key.pub" "$dir/authorized_keys"
  cat > "$dir/sshd_config" <<EOF
HostKey $dir/host_key
AuthorizedKeysFile $dir/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
Subsystem sftp internal-sftp
EOF
  spawn "sshd-$host" "$host" /usr/sbin/sshd -D -e -f "$dir/sshd_config"
  wait_for 10 "sshd on $host" in_ns "$host" socat -u OPEN:/dev/null TCP:127.0.0.1:22
}
# ssh_options: for ssh and scp on any host, without the user's own settings.
ssh_options() {
  echo "-F none -i $WORK/ssh-key -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$WORK/known_hosts -o ConnectTimeout=8 -o BatchMode=yes -o LogLevel=ERROR"
}
# shellcheck disable=SC2046
ssh_from() { in_ns "$1" ssh $(ssh_options) "${@:2}"; }
# shellcheck disable=SC2046
scp_from() { in_ns "$1" scp -q $(ssh_options) "${@:2}"; }

# start_vsftpd HOST: anonymous, serves $WORK/HOST/ftp; active and passive.
start_vsftpd() {
  local host=$1 dir=$WORK/$1
  mkdir -p "$dir/ftp" "$dir/empty"
  # The server's own user reads below here.
  chmod 711 "$WORK" "$dir"
  chmod 555 "$dir/ftp" "$dir/empty"
  cat > "$dir/vsftpd.conf" <<EOF
listen=YES
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root=$dir/ftp
ftp_username=ftp
nopriv_user=nobody
secure_chroot_dir=$dir/empty
connect_from_port_20=YES
port_enable=YES
pasv_enable=YES
seccomp_sandbox=NO
isolate_network=NO
xferlog_enable=NO
vsftpd_log_file=$dir/vsftpd.log
EOF
  spawn "vsftpd-$host" "$host" /usr/sbin/vsftpd "$dir/vsftpd.conf"
  wait_for 10 "vsftpd on $host" in_ns "$host" curl -s -m 2 ftp://127.0.0.1/
}
