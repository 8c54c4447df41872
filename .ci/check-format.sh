#!/bin/bash
# Every C++ file is as clang-format writes it.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files -z '*.cc' '*.hh' '*.c' '*.h' | xargs -0 -r clang-format --dry-run -Werror
