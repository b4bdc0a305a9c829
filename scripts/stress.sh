#!/bin/sh
# The stress run in each runtime and topology: 96 clients x 16,384 messages x 4,096 bytes over one
# network in one process, every byte compared. See bench/stress.ts.
#
#   scripts/stress.sh                    all four runs
#   scripts/stress.sh --messages 1000    shorter ones; options go to bench/stress.ts
#
# Runs all of them even when one fails. Exit code: 0 when every byte came back right in all.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
deno=$(sh scripts/tool.sh deno) || exit 1
bun=$(sh scripts/tool.sh bun) || exit 1
status=0

for topology in shared split; do
  "$deno" run --allow-ffi bench/stress.ts --topology "$topology" "$@" || status=1
  "$bun" bench/stress.ts --topology "$topology" "$@" || status=1
done
[ "$status" = 0 ] || echo "stress: at least one run failed" >&2
exit "$status"
