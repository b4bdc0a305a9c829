#!/bin/sh
# Builds ffi/shim.c together with its tests in C under AddressSanitizer and
# UndefinedBehaviorSanitizer, and runs them. The last line is "N passed, N failed".
#
#   scripts/shim.sh                            all cases, 3,000 rounds of random records
#   SEED=7 ROUNDS=100000 scripts/shim.sh       a given seed, more rounds; also: make test-shim
#   scripts/shim.sh random                     the cases whose claim contains the word
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
CC=${CC:-cc}
driver=ffi/build/shim-driver
archive=$("$CC" -print-file-name=liburing.a)

# Functions of the shim that the tests make fail.
wraps=
for name in mmap eventfd socketpair io_uring_queue_init_params io_uring_register_buf_ring \
  io_uring_register_eventfd io_uring_register_sync_cancel io_uring_submit; do
  wraps="$wraps -Wl,--wrap=$name"
done

mkdir -p "$(dirname "$driver")"
# shellcheck disable=SC2086 # several words
"$CC" -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wconversion -Wshadow -pthread \
  -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
  $wraps -o "$driver.new" ffi/shim.c tests/shim/*.c "$archive"
mv -f "$driver.new" "$driver"

[ -z "${SEED:-}" ] || export UR_SEED="$SEED"
[ -z "${ROUNDS:-}" ] || export UR_ROUNDS="$ROUNDS"
exec "$driver" "$@"
