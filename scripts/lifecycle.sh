#!/bin/sh
# Workers that are terminated and processes that end, at random moments under load, in each runtime.
#
#   scripts/lifecycle.sh                          1,000 workers, 100 endings of each kind
#   WORKERS=50 ENDINGS=5 scripts/lifecycle.sh     fewer; also: make lifecycle WORKERS=50 ENDINGS=5
#   RUNTIME=bun SEED=7 scripts/lifecycle.sh       in one runtime, again
#
# Runs both runtimes even when one fails. Exit code: 0 when nothing crashed, hung or was left.
set -u

cd "$(dirname "$0")/.." || exit 1
status=0
for runtime in ${RUNTIME:-deno bun}; do
  echo "--- $runtime"
  [ "$runtime" = deno ] && run="run -A --no-lock" || run=
  # shellcheck disable=SC2086 # words
  sh scripts/tool.sh "$runtime" $run tests/lifecycle/long.ts \
    "${WORKERS:-1000}" "${ENDINGS:-100}" ${SEED:-} || status=1
done
[ "$status" = 0 ] || echo "lifecycle: at least one run failed" >&2
exit "$status"
