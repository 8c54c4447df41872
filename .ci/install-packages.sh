#!/bin/bash
# Owns getting what the project needs from the distribution. Installs only what is missing, starts
# no service, asks nothing. Usage: .ci/install-packages.sh GROUP...   (groups: .ci/packages.txt)
set -euo pipefail
tree=$(cd "$(dirname "$0")/.." && pwd)
guard=/usr/sbin/policy-rc.d
services="nginx ssh vsftpd dnsmasq iperf3"

packages_of() { sed -nE "s,^$1(/$(dpkg --print-architecture))?:,,p" "$tree/.ci/packages.txt" | tr -s ' ' '\n' | sed '/^$/d'; }

# absent PACKAGE...: those that are not installed, by one question to dpkg.
absent() {
  local have
  have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p') || true
  printf '%s\n' "$@" | grep -vxF "$have" || true
}

update_once() {
  [ -n "${updated:-}" ] && return
  echo "packages: reading the distribution's lists"
  apt-get -qq -o Acquire::Retries=3 update
  updated=yes
}

# Debian starts a service as soon as its package is there, unless this program forbids it.
forbid_services() {
  # One that an interrupted run saved is the real one.
  if [ -e "$guard" ] && [ ! -e "$guard.i3-saved" ]; then mv "$guard" "$guard.i3-saved"; fi
  trap allow_services EXIT
  printf '#!/bin/sh\nexit 101\n' > "$guard"
  chmod 755 "$guard"
}
allow_services() {
  rm -f "$guard"
  if [ -e "$guard.i3-saved" ]; then mv "$guard.i3-saved" "$guard"; fi
}

# What was installed only for tests must not come up at the next start of the machine either.
disable_services_of() {
  command -v systemctl >/dev/null || return 0
  for service in $services; do
    case " $* " in *" $service"*) systemctl --quiet disable "$service" 2>/dev/null || true ;; esac
    case " $* " in *" openssh-server "*) systemctl --quiet disable ssh 2>/dev/null || true ;; esac
  done
}

install_missing() {
  local wanted missing
  mapfile -t wanted < <(for group in "$@"; do packages_of "$group"; done)
  [ ${#wanted[@]} -eq 0 ] && return
  mapfile -t missing < <(absent "${wanted[@]}")
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" = 0 ] || { echo "packages: run as root to install: ${missing[*]}" >&2; exit 3; }
  update_once
  echo "packages: installing ${missing[*]}"
  forbid_services
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    install -y --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; exit 1; }
  allow_services
  trap - EXIT
  disable_services_of "${missing[@]}"
}

unpack_missing() {
  local to=$tree/build/unpacked
  for package in $(absent $(packages_of unpack)); do
    [ -e "$to/.$package" ] && continue
    update_once
    echo "packages: unpacking $package into build/unpacked"
    mkdir -p "$to"
    # apt's own sandbox user cannot write into a private folder.
    (cd "$to" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg -x "$package"_*.deb . &&
      rm -f "$package"_*.deb && touch ".$package")
  done
}

mkdir -p "$tree/build"
log=$tree/build/packages.log
[ $# -gt 0 ] || set -- build run demo test
groups=()
for group in "$@"; do
  if [ "$group" = unpack ]; then unpack=yes; else groups+=("$group"); fi
done
install_missing ${groups[@]+"${groups[@]}"}
if [ -n "${unpack:-}" ]; then unpack_missing; fi
