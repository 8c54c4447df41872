#!/bin/bash
# All benchmarks in full, one after the other; figures go to build/figures.jsonl and are printed as a
# table at the end. Options are ctest's, for example: tests/bench/run.sh -R lookup
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -e build/CTestTestfile.cmake ] || { echo "build first: ./test.sh -L unit" >&2; exit 2; }
before=$(wc -l 2>/dev/null < build/figures.jsonl || echo 0)
status=0
I3_BENCH_FULL=1 ctest --test-dir build -L '^bench$' --timeout 3600 -V "$@" || status=$?
tail -n +$((before + 1)) build/figures.jsonl 2>/dev/null | jq -rs '
  ["figure", "value", "unit", "goal", ""], (.[] | [.figure, (.value * 1000 | round / 1000), .unit, (.goal // "-"),
    (if .goal == null then "" elif (if .better == "lower" then .value <= .goal else .value >= .goal end) then "met" else "missed" end)])
  | @tsv' | column -t -s $'\t'
exit "$status"
