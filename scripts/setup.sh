#!/bin/sh
# Makes this checkout ready to build and test, on Debian or Ubuntu. Says what it does, and nothing
# when there is nothing to do. Safe to run again.
#
# Needs one of: node with npm, bun, deno. Everything else is installed: the development packages of
# package.json into node_modules, and gcc, make and liburing through apt when they are missing.
#
#   scripts/setup.sh               everything that it takes to build and test
#   scripts/setup.sh --checks      and clang with clang-format, for the checks of the C sources;
#                                  where they cannot be installed, those checks are skipped
#   scripts/setup.sh --packages    node_modules only: enough to make the package
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
NPM_VERSION=11 # used through deno when there is no npm

has() {
  command -v "$1" >/dev/null 2>&1
}

# The stamp holds what was installed: the lock file's checksum, so that a changed lock reinstalls.
stamp=node_modules/.cache/uringnet/installed
wanted=$(cat package.json package-lock.json 2>/dev/null | cksum)

packages_ready() {
  [ -d node_modules/uvu ] && [ -d node_modules/prom-client ] &&
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
    sh scripts/tool.sh deno >/dev/null 2>&1 &&
    sh scripts/tool.sh bun >/dev/null 2>&1 &&
    sh scripts/tool.sh esbuild >/dev/null 2>&1 &&
    sh scripts/tool.sh tsc >/dev/null 2>&1
}

run() {
  echo "setup: $*"
  "$@"
}

install_with_npm() {
  if [ -f package-lock.json ]; then
    run "$@" ci --no-audit --no-fund && return 0
    echo "setup: the lock file cannot be installed as it is, installing from package.json"
  fi
  run "$@" install --no-package-lock --no-audit --no-fund
}

install_packages() {
  if has node && has npm; then
    install_with_npm npm
  elif has bun; then
    run bun install --no-save
  elif has deno; then
    # Install scripts need node, and scripts/tool.sh does without them.
    install_with_npm deno run --allow-all --no-config --no-lock \
      "npm:npm@$NPM_VERSION" --ignore-scripts
  else
    echo "setup: none of npm, bun and deno is in PATH; install one of them, for example:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends nodejs npm" >&2
    exit 1
  fi
  for name in deno bun esbuild tsc; do
    sh scripts/tool.sh "$name" >/dev/null
  done
  mkdir -p "$(dirname "$stamp")"
  echo "$wanted" >"$stamp"
}

# A header or an archive is found the way the compiler itself finds it.
system_missing() {
  has cc || echo gcc
  has make || echo make
  has cc || return 0
  echo '#include <stdio.h>' | cc -E -xc - >/dev/null 2>&1 || echo libc6-dev
  archive=$(cc -print-file-name=liburing.a)
  if [ ! -f "$archive" ] || ! echo '#include <liburing.h>' | cc -E -xc - >/dev/null 2>&1; then
    echo liburing-dev
  fi
}

install_system() {
  packages="gcc libc6-dev make liburing-dev"
  command="apt-get update && apt-get install -y --no-install-recommends $packages"
  echo "setup: missing:" $1
  if ! has apt-get; then
    echo "setup: no apt-get here; install a C compiler, make and liburing with headers and" >&2
    echo "liburing.a, then run this again" >&2
    exit 1
  fi
  if [ "$(id -u)" = 0 ]; then
    echo "setup: $command"
    DEBIAN_FRONTEND=noninteractive sh -c "$command"
  elif has sudo && sudo -n true 2>/dev/null; then
    echo "setup: sudo sh -c '$command'"
    sudo -n env DEBIAN_FRONTEND=noninteractive sh -c "$command"
  else
    echo "setup: this needs root; run:" >&2
    echo "  sudo sh -c '$command'" >&2
    exit 1
  fi
  left=$(system_missing)
  if [ -n "$left" ]; then
    echo "setup: still missing after the installation:" $left >&2
    exit 1
  fi
}

# Whether clang can compile with sanitizers: their runtime is a package of its own.
clang_ready() {
  has clang && has clang-format && clang_sanitizes
}

clang_sanitizes() {
  runtime=$(clang -print-file-name=lib/linux)
  [ -n "$(find "$runtime" -name 'libclang_rt.asan*.a' -print -quit 2>/dev/null)" ]
}

clang_install() {
  run $as_root apt-get install -y -qq --no-install-recommends clang clang-format || return 1
  ! clang_sanitizes || return 0
  major=$(clang -dumpversion | cut -d . -f 1)
  run $as_root apt-get install -y -qq --no-install-recommends "libclang-rt-$major-dev"
}

install_clang() {
  # An installation that failed is not tried again in this checkout.
  failed=node_modules/.cache/uringnet/clang_failed
  if clang_ready || [ -e "$failed" ]; then return; fi
  export DEBIAN_FRONTEND=noninteractive
  as_root=
  [ "$(id -u)" = 0 ] || as_root="sudo -n"
  if ! has apt-get; then
    echo "setup: no apt-get here to install clang; its checks are skipped"
  elif ! $as_root true 2>/dev/null; then
    echo "setup: installing clang needs root; its checks are skipped"
  elif ! clang_install && ! { run $as_root apt-get update && clang_install; }; then
    echo "setup: clang cannot be installed; its checks are skipped"
    touch "$failed"
  fi
}

packages_ready || install_packages
[ "${1:-}" != --packages ] || exit 0
missing=$(system_missing)
[ -z "$missing" ] || install_system "$missing"
[ "${1:-}" != --checks ] || install_clang
