#!/bin/sh
# Mixed traffic with faults, every byte compared, and a verdict; see tests/soak/soak.ts.
#
#   scripts/soak.sh                          20 minutes in Deno, then 20 in Bun
#   MINUTES=2 RUNTIME=bun scripts/soak.sh    also: make soak MINUTES=2 RUNTIME=bun
#   SOFTWARE=yes MINUTES=20 scripts/soak.sh  HTTP, Redis and PostgreSQL; see tests/soak/software.ts
#   SOFTWARE=yes SOCKETS=native ...          the control: the same over the runtime's own node:net
#   FAULTS=no SLOWNESS=3 SEED=7 ...          the ordinary library; longer pauses; the same again
#
# Exit code: 0 when all runs were right.
set -u

cd "$(dirname "$0")/.." || exit 1
. scripts/quietly.sh
minutes=${MINUTES:-20}
library=
program=tests/soak/soak.ts
if [ "${SOFTWARE:-no}" = yes ]; then
  program=tests/soak/software.ts
  FAULTS=no
  sh scripts/clients.sh --install
fi
if [ "${FAULTS:-yes}" = yes ]; then
  quietly sh scripts/build.sh --faults
  library=${LIBRARY:-$PWD/ffi/build/liburingnet-faults.so}
fi
# Large arrays come and go. What the C library would keep of them for later is no growth: it gives
# those of 64 KiB and more back at once. Smaller ones leave free memory in its heap, as much as was
# in use at one time.
export MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=65536 MALLOC_ARENA_MAX=2
status=0
for runtime in ${RUNTIME:-deno bun}; do
  [ "$runtime" = deno ] && run="run -A --no-lock --v8-flags=--expose-gc" || run=
  # shellcheck disable=SC2086 # words
  URINGNET_LIBRARY=$library DENO_NO_UPDATE_CHECK=1 sh scripts/tool.sh "$runtime" $run \
    "$program" --minutes "$minutes" ${SLOWNESS:+--slowness "$SLOWNESS"} \
    ${SEED:+--seed "$SEED"} ${SOCKETS:+--sockets "$SOCKETS"} || status=1
done
[ "$status" = 0 ] || echo "soak: at least one run failed" >&2
exit "$status"
