#!/bin/sh
# Plays random scenarios on the fake kernel, in both runtimes at once, each with seeds of its own.
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

play() {
  case $1 in
    deno) sh scripts/tool.sh deno run --allow-env --allow-read tests/sim/fuzz.ts "$seeds" "$2" ;;
    bun) sh scripts/tool.sh bun tests/sim/fuzz.ts "$seeds" "$2" ;;
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
