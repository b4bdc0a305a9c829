#!/bin/sh
# Finds a working deno, bun, esbuild or tsc.
#
#   scripts/tool.sh deno              prints the path of the binary
#   scripts/tool.sh deno test tests/  runs it
#
# Looks at the platform packages below node_modules first, because the entries of node_modules/.bin
# only work when install scripts were allowed to run, then at PATH. A processor without AVX2 gets a
# baseline build of bun when there is one.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
modules=$root/node_modules
machine=$(uname -m)
case $machine in
  x86_64) cpu=x64 ;;
  aarch64 | arm64) cpu=arm64 ;;
  *) cpu=$machine ;;
esac

has_avx2() {
  [ "$cpu" != x64 ] || grep -q -w -m 1 avx2 /proc/cpuinfo 2>/dev/null
}

# Lists candidates, the best one first. Patterns that match nothing are dropped by works().
candidates() {
  case $1 in
    deno)
      for base in "$modules/@deno" "$modules/.deno/@deno+"*/node_modules/@deno; do
        ls "$base/linux-$cpu"*/deno 2>/dev/null || true
      done
      echo "$modules/deno/deno"
      ;;
    bun)
      [ "$cpu" = arm64 ] && arch=aarch64 || arch=x64
      for base in "$modules/@oven" "$modules/.deno/@oven+"*/node_modules/@oven; do
        has_avx2 && ls "$base/bun-linux-$arch/bin/bun" 2>/dev/null || true
        ls "$base/bun-linux-$arch-baseline/bin/bun" 2>/dev/null || true
        has_avx2 && ls "$base/bun-linux-$arch-musl/bin/bun" 2>/dev/null || true
        ls "$base/bun-linux-$arch-musl-baseline/bin/bun" 2>/dev/null || true
      done
      echo "$modules/bun/bin/bun.exe"
      ;;
    esbuild)
      for base in "$modules/@esbuild" "$modules/.deno/@esbuild+"*/node_modules/@esbuild; do
        ls "$base/linux-$cpu/bin/esbuild" 2>/dev/null || true
      done
      ;;
  esac
  command -v "$1" 2>/dev/null || true
}

works() {
  [ -x "$1" ] && "$1" --version >/dev/null 2>&1
}

find_runtime() {
  candidates "$1" | while read -r candidate; do
    if works "$candidate"; then
      echo "$candidate"
      break
    fi
  done
}

# The compiler is a script. Without node, a small launcher runs it in bun.
find_tsc() {
  script=$modules/typescript/bin/tsc
  if [ -f "$script" ]; then
    if command -v node >/dev/null 2>&1; then
      echo "$script"
      return
    fi
    bun=$(find_runtime bun)
    [ -n "$bun" ] || return 0
    launcher=$modules/.cache/uringnet/tsc
    mkdir -p "$(dirname "$launcher")"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$bun" "$script" >"$launcher"
    chmod +x "$launcher"
    echo "$launcher"
    return
  fi
  command -v tsc 2>/dev/null || true
}

name=${1:-}
case $name in
  deno | bun | esbuild) path=$(find_runtime "$name") ;;
  tsc) path=$(find_tsc) ;;
  *)
    echo "usage: scripts/tool.sh deno|bun|esbuild|tsc [arguments to run it with]" >&2
    exit 2
    ;;
esac
if [ -z "$path" ]; then
  echo "Cannot find a working $name: run scripts/setup.sh" >&2
  exit 1
fi
shift
[ $# -gt 0 ] || { echo "$path" && exit 0; }
exec "$path" "$@"
