#!/bin/bash
# Owns the second build tree, with address and undefined-behaviour sanitizers, and the run of the
# unit, sim and fuzz tests in it. Usage: sanitized.sh [build]   (with `build` it stops there)
set -euo pipefail
tree=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$tree"
mkdir -p build
# shellcheck disable=SC2086
cmake --preset asan ${I3_CMAKE:-} > build/configure-asan.log 2>&1 || { cat build/configure-asan.log; exit 1; }
# The programs of those tests and nothing else: benchmarks and daemons are not run here.
# A test has the name of its program (tests/CMakeLists.txt).
mapfile -t targets < <(comm -12 \
  <(ctest --test-dir build/asan --show-only=json-v1 -L '^(unit|sim|fuzz)$' | jq -r '.tests[].name' | sort -u) \
  <(ninja -C build/asan -t targets all | sed -n 's/: phony$//p' | sort -u))
[ ${#targets[@]} -gt 0 ] || { echo "no test found in build/asan" >&2; exit 1; }
ninja -C build/asan "${targets[@]}"
[ "${1:-}" = build ] && exit 0
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
exec ctest --test-dir build/asan -j "$(nproc)" --output-on-failure --no-tests=error -L '^(unit|sim|fuzz)$'
