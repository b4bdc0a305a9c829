#!/bin/sh
# Shows the library at work: echo servers on the ring in Deno and in Bun, driven by a client in C
# with every byte compared, next to the runtimes' own sockets. Installs and builds what is missing.
#
#   scripts/demo.sh             3 seconds for each line of the tables
#   SECONDS=10 scripts/demo.sh  longer; also: make demo SECONDS=10
#
# Exit code: 0 only when every byte came back right.
# Read first: in bash, SECONDS counts up by itself.
seconds=${SECONDS:-3}
set -eu
[ "$seconds" != 0 ] || seconds=3

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
sh scripts/setup.sh
deno=$(sh scripts/tool.sh deno)
bun=$(sh scripts/tool.sh bun)

. scripts/quietly.sh
library=ffi/build/liburingnet.so
if [ ! -e "$library" ] || [ -n "$(find ffi -name '*.[ch]' -newer "$library" -print -quit)" ]; then
  quietly sh scripts/build.sh
fi
quietly sh bench/build.sh

exec "$bun" bench/demo/demo.ts --deno "$deno" --bun "$bun" --client bench/build/client \
  --out bench/build/demo --seconds "$seconds"
