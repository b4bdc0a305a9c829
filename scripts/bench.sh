#!/bin/sh
# Measures the library against its peers: installs and builds what is missing, then runs
# bench/run.ts, which has the options (--help).
#
#   scripts/bench.sh                       everything: takes about three hours
#   scripts/bench.sh --quick               a few bars in a minute and a half
#   scripts/bench.sh --case echo-50x64     one case, or a group of them; also: CASE=echo-50x64
#   scripts/bench.sh --bars                what the bars need, and which of them are met: 25 minutes
#   scripts/bench.sh --bars --publish      the same, then into docs/PERFORMANCE.md, README.md and
#                                          docs/charts
#   scripts/bench.sh --charts              the sweeps, drawn to docs/charts
#   scripts/bench.sh --from FILE --bars    what was measured before, judged again; also --charts,
#                                          --publish
#   scripts/bench.sh --list                what there is
#
# Also: make bench CASE=echo-50x64 ROUNDS=3 SECONDS=1 ARGS=--charts. The program runs in Bun;
# RUNTIME=deno runs it in Deno.
# Read first: in bash, SECONDS counts up by itself.
seconds=${SECONDS:-}
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

# Ten thousand connections need as many descriptors, in the server and in the client. The hard
# limit can be raised by root only.
wanted_files=20480
ulimit -n "$wanted_files" 2>/dev/null || ulimit -n "$(ulimit -H -n)" 2>/dev/null ||
  echo "bench: the limit of open files stays at $(ulimit -n)" >&2

. scripts/quietly.sh
sh scripts/setup.sh
quietly sh scripts/build.sh
quietly sh bench/build.sh
quietly sh scripts/bundle.sh

# Options win over the environment, cases add up.
[ -z "$seconds" ] || [ "$seconds" = 0 ] || set -- --seconds "$seconds" "$@"
[ -z "${ROUNDS:-}" ] || set -- --rounds "$ROUNDS" "$@"
[ -z "${CASE:-}" ] || set -- --case "$CASE" "$@"
# shellcheck disable=SC2086 # several words
set -- "$@" ${ARGS:-}

case ${RUNTIME:-bun} in
  deno) exec "$(sh scripts/tool.sh deno)" run --quiet --allow-all bench/run.ts "$@" ;;
  *) exec "$(sh scripts/tool.sh bun)" bench/run.ts "$@" ;;
esac
