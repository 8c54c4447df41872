# Owns how a measured figure is printed and kept: a table for people, a JSON line in figures.jsonl
# beside the programs' folder. Sourced after lib.sh.
I3_FIGURES=${I3_FIGURES:-$(cd "$I3_BIN/.." && pwd)/figures.jsonl}
MACHINE="$(nproc) cores $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"

# median VALUE...; least and most likewise.
median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
least() { printf '%s\n' "$@" | sort -g | head -n 1; }
most() { printf '%s\n' "$@" | sort -g | tail -n 1; }

# figure NAME UNIT GOAL BETTER AGAINST VALUE...: BETTER is lower or higher, GOAL a number or null,
# AGAINST a JSON object. Prints the median with the goal beside it.
figure() {
  local name=$1 unit=$2 goal=$3 better=$4 against=$5 value
  shift 5
  value=$(median "$@")
  jq -cn --arg figure "$name" --argjson value "$value" --arg unit "$unit" --argjson goal "$goal" \
    --arg better "$better" --argjson against "$against" --argjson runs $# --argjson min "$(least "$@")" \
    --argjson max "$(most "$@")" --arg machine "$MACHINE" \
    '{figure: $figure, value: $value, unit: $unit, goal: $goal, better: $better, against: $against,
      runs: $runs, min: $min, max: $max, machine: $machine}' >> "$I3_FIGURES"
  awk -v n="$name" -v v="$value" -v u="$unit" -v g="$goal" -v b="$better" -v lo="$(least "$@")" -v hi="$(most "$@")" 'BEGIN {
    verdict = g == "null" ? "" : (b == "lower" ? v <= g : v >= g) ? "met" : "missed"
    printf "%-34s %12.6g %-8s goal %-8s %-7s (%.6g to %.6g)\n", n, v, u, g == "null" ? "-" : g, verdict, lo, hi }'
}
