#!/bin/sh
# Plays random scenarios on the fake kernel, in both runtimes at once, each with seeds of its own.
# Then the scenarios of servers, frames, delimiters and dials, with seeds from 1 on.
#
#   scripts/fuzz.sh [SEEDS [FIRST [RUNTIME...]]]    both: deno bun
#
# A failing seed is printed with the command that plays it again.
set -u

cd "$(dirname "$0")/.." || exit 1
seeds=${1:-1000}
first=${2:-}
[ -n "$first" ] || first=$(($(date +%s) % 1000000000))
[ $# -lt 2 ] || shift
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- deno bun
for tool in "$@"; do
  sh scripts/tool.sh "$tool" --version >/dev/null || exit 1
done

suites="tests/sim/serve_test.ts tests/sim/delimiters_test.ts tests/sim/dial_test.ts"

# shellcheck disable=SC2086 # one word per suite
play() {
  export URINGNET_SIM_SEEDS="$seeds" URINGNET_TEST_SLOWNESS=100
  case $1 in
    deno)
      sh scripts/tool.sh deno run --allow-env --allow-read tests/sim/fuzz.ts "$seeds" "$2" &&
        sh scripts/tool.sh deno test --no-check --allow-env --allow-read $suites
      ;;
    bun)
      sh scripts/tool.sh bun tests/sim/fuzz.ts "$seeds" "$2" &&
        sh scripts/tool.sh bun test $suites
      ;;
    *)
      echo "fuzz: no such runtime: $1" >&2
      return 2
      ;;
  esac
}

pids=
for runtime in "$@"; do
  play "$runtime" "$first" &
  pids="$pids $!"
  first=$((first + seeds))
done
status=0
for pid in $pids; do
  wait "$pid" || status=1
done
exit "$status"
