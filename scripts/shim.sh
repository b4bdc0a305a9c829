#!/bin/sh
# Checks the C sources: their format, clang's static analyzer, and the shim together with its tests
# in C, under AddressSanitizer and UndefinedBehaviorSanitizer, by gcc and by clang. The last line is
# "N passed, N failed"; a check whose tool is missing is skipped and says so.
#
#   scripts/shim.sh                            all of it, 3,000 rounds of random records
#   SEED=7 ROUNDS=100000 scripts/shim.sh       a given seed, more rounds; also: make test-shim
#   scripts/shim.sh random                     only the cases whose claim contains the word
#   CC=clang scripts/shim.sh                   the tests by this compiler only
#   scripts/shim.sh --format                   formats the sources
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
folder=ffi/build
# The sources in C; those of bench/ have a style of their own.
formatted=$(find ffi tests -name '*.[ch]' ! -path 'ffi/build/*' | sort)
passed=0
failed=0
skipped=0

# Functions of the shim that the tests make fail.
wraps=
for name in mmap eventfd socketpair io_uring_queue_init_params io_uring_register_buf_ring \
  io_uring_register_eventfd io_uring_register_sync_cancel io_uring_submit; do
  wraps="$wraps -Wl,--wrap=$name"
done
warnings="-std=gnu11 -Wall -Wextra -Werror -Wconversion -Wshadow"

has() {
  command -v "$1" >/dev/null 2>&1
}

# check CLAIM COMMAND...: one case that passes or fails.
check() {
  claim=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "shim > $claim ... ok"
  else
    failed=$((failed + 1))
    echo "shim > $claim ... FAILED"
  fi
}

skip() {
  skipped=$((skipped + 1))
  echo "shim > $1 (skipped: $2)"
}

# The fault table is analyzed as well.
analyze() {
  # shellcheck disable=SC2086 # several words
  for faults in "" -DUR_FAULTS; do
    clang --analyze $warnings $faults -Xclang -analyzer-output=text -Xclang -analyzer-werror \
      ffi/shim.c || return 1
  done
}

# build COMPILER DRIVER
build() {
  archive=$("$1" -print-file-name=liburing.a)
  [ -f "$archive" ] || archive=$(cc -print-file-name=liburing.a)
  # shellcheck disable=SC2086 # several words
  "$1" $warnings -O1 -g -pthread \
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
    $wraps -o "$2.new" ffi/shim.c tests/shim/*.c "$archive" && mv -f "$2.new" "$2"
}

# run COMPILER WORD...: builds the tests and runs them; their counts are added.
run() {
  compiler=$1
  shift
  driver=$folder/shim-driver-$(basename "$compiler")
  log=$driver.log
  rm -f "$driver"
  check "the tests build without a warning by $compiler" build "$compiler" "$driver"
  [ -x "$driver" ] || return 0
  "./$driver" "$@" >"$log" 2>&1 || true
  grep -v '^[0-9]* passed, [0-9]* failed$' "$log" || true
  counts=$(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
  # A driver that crashed has failed, whatever it counted.
  [ -n "$counts" ] || counts="0 1"
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
}

if [ "${1:-}" = --format ]; then
  # shellcheck disable=SC2086 # several words
  exec clang-format -i $formatted
fi

[ -z "${SEED:-}" ] || export UR_SEED="$SEED"
[ -z "${ROUNDS:-}" ] || export UR_ROUNDS="$ROUNDS"
mkdir -p "$folder"
if [ $# -gt 0 ] || [ -n "${CC:-}" ]; then
  run "${CC:-cc}" "$@"
else
  sh scripts/setup.sh --checks
  if has clang-format; then
    # shellcheck disable=SC2086 # several words
    check "the sources are formatted" clang-format --dry-run --Werror $formatted
  else
    skip "the sources are formatted" "no clang-format here"
  fi
  run cc
  if has clang; then
    check "clang's analyzer finds nothing" analyze
  else
    skip "clang's analyzer finds nothing" "no clang here"
  fi
  if has clang && ls "$(clang -print-file-name=lib/linux)"/*asan*.a >/dev/null 2>&1; then
    run clang
  else
    skip "the same tests, built by clang" "no clang with sanitizers here"
  fi
fi

[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
