#!/bin/bash
# clang-tidy on the folders that read what the network sends. Usage: check-tidy.sh BUILD-FOLDER [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1/tidy
shift
# How each file is compiled by itself.
mkdir -p "$build"
cmake --preset release -B "$build" -DI3_TOGETHER=OFF > "$build/configure.log" 2>&1 || { cat "$build/configure.log"; exit 1; }
if [ $# -eq 0 ]; then
  mapfile -t files < <(git ls-files 'overlay/wire/*.cc' 'overlay/session/*.cc' 'dnsintercept/dns_message.cc' 'proxy/packet/*.cc')
  set -- "${files[@]}"
fi
# Left out: version 14 takes a defaulted operator<=> for a null pointer; the others are about style alone
# (moving a trivial type, 4 * 255 as a size, a static member by its object).
without=-modernize-use-nullptr,-performance-move-const-arg
without=$without,-bugprone-implicit-widening-of-multiplication-result,-readability-static-accessed-through-instance
printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -n 4 clang-tidy --quiet --checks="$without" -p "$build" \
  2> >(grep -vE '^[0-9]+ warnings? generated' >&2)
