#!/bin/sh
# Runs test suites in Bun's build for musl, on the library that is embedded: it is made with glibc's
# headers, and must work with either.
#
#   scripts/test_musl.sh                 tests/contract, tests/unit, tests/sim, tests/kernel
#   scripts/test_musl.sh tests/faults    other paths
#
# musl and its compiler are installed when they are missing; Bun is downloaded (npm) in the version
# that is here. Bun needs a libstdc++ for musl, which Debian does not have. That of glibc stands in,
# with the functions that it misses from tests/musl/stand_in.c. The last lines are the runner's own.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
folder=$root/ffi/build/musl
[ $# -gt 0 ] || set -- tests/contract tests/unit tests/sim tests/kernel

fail() {
  echo "test_musl: $*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

[ "$(uname -m)" = x86_64 ] || fail "this is for x86_64, not for $(uname -m)"
mkdir -p "$folder"
if ! has musl-gcc; then
  [ "$(id -u)" = 0 ] || fail "as root: apt-get install musl-tools"
  echo "test_musl: apt-get install musl-tools"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -q update && apt-get -q install -y --no-install-recommends musl-tools; } \
    >"$folder/apt.log" 2>&1 || { tail -n 10 "$folder/apt.log" >&2 && fail "no musl-tools"; }
fi

bun=$folder/bun/package/bin/bun
if [ ! -x "$bun" ]; then
  version=$(sh scripts/tool.sh bun --version)
  echo "test_musl: npm pack @oven/bun-linux-x64-musl@$version"
  rm -rf "$folder/bun"
  mkdir -p "$folder/bun"
  (cd "$folder/bun" && npm pack --silent "@oven/bun-linux-x64-musl@$version") >/dev/null
  tar -xzf "$folder/bun/"*.tgz -C "$folder/bun"
fi

libraries=$folder/libraries
mkdir -p "$libraries"
for name in libstdc++.so.6 libgcc_s.so.1; do
  found=$(cc -print-file-name=$name)
  [ -f "$found" ] || found=$(ldconfig -p | sed -n "s/.*$name.*x86-64.*=> //p" | head -n 1)
  [ -f "$found" ] || fail "no $name here"
  cp -L "$found" "$libraries/"
done
loader=ld-linux-x86-64.so.2
musl-gcc -Wall -Wextra -Werror -shared -fPIC "-Wl,-soname,$loader" -o "$libraries/$loader" \
  tests/musl/stand_in.c

sh scripts/build.sh --faults >/dev/null
sh scripts/build.sh --check-embed | tail -n 1
# The copy itself, and not what was compiled last.
export URINGNET_LIBRARY="$root/ffi/build/embed/liburingnet.so"
export LD_LIBRARY_PATH="$libraries"
"$bun" --print 'require("node:fs").readFileSync("/proc/self/maps", "utf8")' |
  grep -q 'musl/libc\.so$' || fail "$bun does not run on musl"
exec "$bun" test "$@"
