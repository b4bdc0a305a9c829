#!/bin/sh
# Measures what tens of thousands of connections cost: builds what is missing, then runs
# bench/scale.ts, which says what its options are. docs/SCALE.md explains the figures.
#
#   scripts/bench_scale.sh                                        a quarter of an hour
#   scripts/bench_scale.sh --runtime bun --simulated 1000,100000  a part of it
#
# Also: make bench-scale RUNTIME=deno SECONDS=1. The hard limit of open files bounds the real
# connections: one process accepts them, another one dials them. With --pairs 2, two more
# processes hold as many silent ones meanwhile.
# Read first: in bash, SECONDS counts up by itself.
seconds=${SECONDS:-}
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -H -n)" 2>/dev/null ||
  echo "bench: the limit of open files stays at $(ulimit -n)" >&2
. scripts/quietly.sh
sh scripts/setup.sh
quietly sh scripts/build.sh
[ -z "$seconds" ] || [ "$seconds" = 0 ] || set -- --seconds "$seconds" "$@"
[ -z "${RUNTIME:-}" ] || set -- --runtime "$RUNTIME" "$@"
exec "$(sh scripts/tool.sh bun)" bench/scale.ts "$@"
