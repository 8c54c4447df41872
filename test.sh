#!/bin/bash
# Installs what is missing, builds into build/ and runs the tests. Options are ctest's:
#   ./test.sh                 everything, also unit, sim and fuzz tests under sanitizers
#   ./test.sh -L unit         one label: unit, sim, fuzz, asan, netns, apps, bench
#   ./test.sh -R ftp -V       tests by name, with all that they print
# CMake options go into I3_CMAKE, for example I3_CMAKE=-DI3_WERROR=ON.
set -euo pipefail
cd "$(dirname "$0")"
if [ "${1:-}" = --help ]; then sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0; fi

step() { printf '== %s (%ds)\n' "$1" "$SECONDS"; }

# A miss of the compiler cache costs one run of the compiler, without the preprocessor beforehand.
export CCACHE_DEPEND=1
step "packages"
.ci/install-packages.sh build run demo test unpack
step "configure"
# shellcheck disable=SC2086
cmake --preset release ${I3_CMAKE:-} > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
step "build"
export NINJA_STATUS='[%f/%t %es] '
ninja -C build
if [ $# -eq 0 ]; then
  step "build with address and undefined-behaviour sanitizers"
  tests/unit/house/sanitized.sh build
fi
step "test"
# On a shared machine a namespace test may meet a second without a processor: there it has a second try,
# which ctest's output shows.
# Those that measure time or load the machine run alone (RUN_SERIAL), the others beside each other.
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
exec ctest --test-dir build --output-on-failure --no-tests=error \
  ${CI:+--repeat until-pass:2} "$@"
