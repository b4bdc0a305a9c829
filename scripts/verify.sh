#!/bin/sh
# Echoes messages with faults on and compares every byte, in each runtime: tests/faults/verify.ts.
#
#   scripts/verify.sh [MESSAGES] [SEED]     default: 1,000,000 messages in each runtime
#
# Exit code: 0 when every byte was right in both.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
status=0
sh scripts/tool.sh bun tests/faults/verify.ts "$@" || status=1
sh scripts/tool.sh deno run --allow-ffi --allow-env --allow-read --allow-run --allow-sys \
  tests/faults/verify.ts "$@" || status=1
[ "$status" = 0 ] || echo "verify: at least one run failed" >&2
exit "$status"
