#!/bin/sh
# Everything that must hold before a change is kept. Runs all of it even when a step fails, then
# prints a summary; its last line is "N passed, N failed", over both runtimes and the steps.
#
#   scripts/test.sh             about 8 minutes
#   scripts/test.sh --clients   and unmodified software over the library, and a fleet behind
#                               haproxy: about 5 minutes more
#   scripts/test.sh --kernel    and the suites that meet the kernel again on Linux 6.1 and 6.12, and
#                               the fallback on 5.10, in an emulator: about 10 minutes more
#   scripts/test.sh --all       all of it
set -u

kernel=false
clients=false
case ${1:-} in
  "") ;;
  --clients) clients=true ;;
  --kernel) kernel=true ;;
  --all)
    clients=true
    kernel=true
    ;;
  *)
    sed -n 2,11p "$0" >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
export NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
logs=$(mktemp -d)

# A command in the background gets no SIGINT from the terminal.
end() {
  for job in "$logs"/*.job; do
    [ ! -e "$job" ] || kill "$(cat "$job")" 2>/dev/null
  done
  rm -rf "$logs"
}

trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
summary=$logs/summary
passed=0
failed=0
skipped=0

note() {
  printf '  %-22s %s\n' "$1" "$2" >>"$summary"
}

# step NAME COMMAND...: a check that either holds or counts as one failure.
step() {
  name=$1
  shift
  echo "--- $name"
  if "$@"; then
    note "$name" ok
  else
    failed=$((failed + 1))
    note "$name" FAILED
  fi
}

# number PATTERN FILE: the number that the last line matching the pattern captures, or 0.
number() {
  found=$(sed -n "s/$1/\1/p" "$2" | tail -n 1)
  echo "${found:-0}"
}

# ahead LOG COMMAND...: starts the command of a later runner, which then shows what it has printed.
# The suites of a runtime wait more than they compute, so those of the other run at the same time.
ahead() {
  log=$logs/$1
  shift
  "$@" >"$log" 2>&1 &
  echo $! >"$log.job"
}

# runner NAME LOG PASSED FAILED SKIPPED COMMAND...: a test runner, and the patterns of its counts.
# Without a command: the one that was started ahead.
runner() {
  name=$1
  log=$logs/$2
  passed_pattern=$3
  failed_pattern=$4
  skipped_pattern=$5
  shift 5
  echo "--- $name"
  if [ $# = 0 ]; then
    wait "$(cat "$log.job")"
    echo $? >"$log.status"
    rm "$log.job"
    cat "$log"
  else
    {
      "$@" 2>&1
      echo $? >"$log.status"
    } | tee "$log"
  fi
  status=$(cat "$log.status")
  ran=$(number "$passed_pattern" "$log")
  broke=$(number "$failed_pattern" "$log")
  left=$(number "$skipped_pattern" "$log")
  # A runner that crashed, found nothing or could not load a file has failed, whatever it counted.
  if [ "$broke" = 0 ] && { [ "$status" != 0 ] || [ "$((ran + left))" = 0 ]; }; then
    broke=1
    note "$name" "exit status $status with $ran passed: counted as one failure"
  fi
  passed=$((passed + ran))
  failed=$((failed + broke))
  skipped=$((skipped + left))
  note "$name" "$ran passed, $broke failed, $left skipped"
  sed -n 's/.*> \(.*(skipped: .*)\).*/\1/p' "$log" | sed 's/ \.\.\. .*//; s/^/    - /' |
    sort -u >>"$summary"
  [ "$broke" = 0 ] || failures "$log" >>"$summary"
}

# failures LOG: which tests failed, and the first words of why. Often only the end of a log is kept.
failures() {
  sed -n 's/\r$//
    s/^(fail) \(.*\)/\1/p
    s/^\([^ ].*\) \.\.\. FAILED.*/\1/p
    s/^ *\(error: .*\)/\1/p
    s/^\(Assertion: .*\)/\1/p
    s/^.*\(runtime error: .*\)/\1/p' "$1" |
    cut -c 1-200 | awk '!seen[$0]++' | head -n 12 | sed 's/^/    ! /'
}

step setup sh scripts/setup.sh
deno=$(sh scripts/tool.sh deno) || deno=false
bun=$(sh scripts/tool.sh bun) || bun=false

step build sh scripts/build.sh
step check sh scripts/check.sh
step check-embed sh scripts/build.sh --check-embed

ahead bun "$bun" test tests/

# "ok | 12 passed | 1 failed | 2 ignored (3s)"
counts='^[okFAILED]* |.*'
runner "deno test" deno "$counts \([0-9]*\) passed.*" "$counts \([0-9]*\) failed.*" \
  "$counts \([0-9]*\) ignored.*" \
  "$deno" test --allow-ffi --allow-env --allow-net --allow-read --allow-run --allow-write \
  --allow-sys tests/
# " 12 pass", " 1 fail", " 2 skip", each on its own line
runner "bun test" bun "^ *\([0-9]*\) pass$" "^ *\([0-9]*\) fail$" "^ *\([0-9]*\) skip$"
# "44 passed, 0 failed"
runner "shim, sanitized" shim "^\([0-9]*\) passed, [0-9]* failed$" \
  "^[0-9]* passed, \([0-9]*\) failed$" "^\([0-9]*\) skipped$" sh scripts/shim.sh

if [ "$clients" = true ]; then
  # "44 passed, 0 failed", over both runtimes
  runner "clients" clients "^\([0-9]*\) passed, [0-9]* failed$" \
    "^[0-9]* passed, \([0-9]*\) failed$" "^\([0-9]*\) skipped$" sh scripts/clients.sh
fi

# emulated KERNEL SUITES...: the counts of an emulated machine, over both runtimes.
emulated() {
  KERNEL=$1
  export KERNEL
  shift
  runner "Linux $KERNEL" "linux-$KERNEL" "^\([0-9]*\) passed, [0-9]* failed$" \
    "^[0-9]* passed, \([0-9]*\) failed$" "^\([0-9]*\) skipped$" \
    sh scripts/test_kernel.sh "$@"
}

if [ "$kernel" = true ]; then
  # The portable backend asks nothing of the kernel that a version could lack.
  emulated 6.1 tests/contract/shared_test.ts tests/contract/split_test.ts \
    tests/contract/call_reuse_test.ts tests/kernel tests/netem
  # Between the oldest and the newest: its doorbell needs care, and faults show that first.
  emulated 6.12 tests/kernel
  # Too old for io_uring: the doctor, probe() and the fallback.
  emulated 5.10 tests/kernel/refusals_test.ts tests/contract/portable_differences_test.ts
fi

echo
echo "Summary"
cat "$summary"
[ "$skipped" = 0 ] || echo "  $skipped skipped"
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
