#!/bin/sh
# Plays random scenarios on the fake kernel, in both runtimes at once.
#
#   scripts/fuzz.sh SEEDS [FIRST]
set -u

cd "$(dirname "$0")/.." || exit 1
seeds=${1:-1000}
first=${2:-$(($(date +%s) % 1000000000))}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

sh scripts/tool.sh deno run --allow-env --allow-read tests/sim/fuzz.ts "$seeds" "$first" \
  >"$logs/deno" 2>&1 &
deno=$!
sh scripts/tool.sh bun tests/sim/fuzz.ts "$seeds" "$((first + seeds))" >"$logs/bun" 2>&1 &
bun=$!
status=0
wait "$deno" || status=1
wait "$bun" || status=1
for runtime in deno bun; do
  echo "--- $runtime"
  cat "$logs/$runtime"
done
exit "$status"
