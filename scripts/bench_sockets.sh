#!/bin/sh
# Measures unmodified software over uringnet/net and over the runtimes' own sockets: installs what
# is missing, then runs bench/sockets.ts.
#
#   scripts/bench_sockets.sh --case http --runtime deno --rounds 9
#
# Also: make bench-sockets CASE=http RUNTIME=deno ROUNDS=9 SECONDS=2.
# Read first: in bash, SECONDS counts up by itself.
seconds=${SECONDS:-}
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
ulimit -n 40960 2>/dev/null || ulimit -n "$(ulimit -H -n)" 2>/dev/null ||
  echo "bench: the limit of open files stays at $(ulimit -n)" >&2
sh scripts/clients.sh --install
sh bench/build.sh
[ -z "$seconds" ] || [ "$seconds" = 0 ] || set -- --seconds "$seconds" "$@"
[ -z "${ROUNDS:-}" ] || set -- --rounds "$ROUNDS" "$@"
[ -z "${CASE:-}" ] || set -- --case "$CASE" "$@"
[ -z "${RUNTIME:-}" ] || set -- --runtime "$RUNTIME" "$@"
exec "$(sh scripts/tool.sh bun)" bench/sockets.ts "$@"
