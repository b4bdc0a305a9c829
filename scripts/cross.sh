#!/bin/sh
# Provides what is needed to build for a machine of another kind, and to emulate one. The packages
# of this system stay as they are, except for the compiler, which is installed if it is missing.
# Packages of the other machine are only downloaded and unpacked, from an index of their own below
# ffi/build.
#
#   scripts/cross.sh aarch64 compiler                    prints a C compiler that has liburing
#   scripts/cross.sh aarch64 unpack FOLDER PACKAGE...    unpacks packages of that machine
#   scripts/cross.sh aarch64 search PATTERN              prints packages of that machine
#
#   CC=$(scripts/cross.sh aarch64 compiler) scripts/build.sh --embed
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
machine=${1:-}
APT_SECONDS_MAX=300

fail() {
  echo "cross: $*" >&2
  exit 1
}

case $machine in
  aarch64) architecture=arm64 ;;
  *) fail "the machine must be aarch64, got \"$machine\"" ;;
esac
command -v apt-get >/dev/null 2>&1 || fail "no apt-get here: set CC to a compiler for $machine"
folder=$root/ffi/build/$machine
lists=$folder/apt/lists
log=$folder/apt.log
compiler=$machine-linux-gnu-gcc

# apt COMMAND...: for a limited time; what it says goes to a file.
apt() {
  timeout "$APT_SECONDS_MAX" apt-get -q -o Acquire::Retries=1 "$@" >"$log" 2>&1 || {
    tail -n 10 "$log" | sed 's/^/  apt-get: /' >&2
    return 1
  }
}

# From here on, apt works for the other machine.
use_index() {
  mkdir -p "$lists/partial" "$folder/apt/archives/partial"
  : >"$folder/apt/status"
  cat >"$folder/apt/apt.conf" <<CONFIG
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Dir::State "$folder/apt";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt";
CONFIG
  export APT_CONFIG="$folder/apt/apt.conf"
  [ -n "$(find "$lists" -name '*_Packages*' -print -quit)" ] || update
}

update() {
  echo "cross: apt-get update, for $machine" >&2
  # The list of some other origin may fail. What matters is whether the package is found afterwards.
  apt update || true
}

# unpack FOLDER PACKAGE...: an old index may name packages that are gone, so twice.
unpack() {
  target=$1
  shift
  for package in "$@"; do
    echo "cross: apt-get download $package, for $machine" >&2
    rm -rf "$target.new"
    mkdir -p "$target.new" "$target"
    (cd "$target.new" && apt download "$package") ||
      { update && (cd "$target.new" && apt download "$package"); } ||
      fail "cannot download $package"
    dpkg -x "$target.new/"*.deb "$target"
    rm -rf "$target.new"
  done
}

install_compiler() {
  ! command -v "$compiler" >/dev/null 2>&1 || return 0
  packages="gcc-$machine-linux-gnu libc6-dev-$architecture-cross"
  [ "$(id -u)" = 0 ] || fail "as root: apt-get install $packages"
  echo "cross: apt-get install $packages" >&2
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 # several words
  apt install -y --no-install-recommends $packages ||
    { apt update && apt install -y --no-install-recommends $packages; } ||
    fail "cannot install $packages"
}

# The compiler that is printed: the installed one, which finds liburing where it was unpacked.
write_compiler() {
  headers=$folder/liburing/usr/include
  libraries=$folder/liburing/usr/lib/$machine-linux-gnu
  [ -f "$libraries/liburing.a" ] || {
    use_index
    unpack "$folder/liburing" liburing-dev
  }
  printf '#!/bin/sh\nexec %s -isystem "%s" -B"%s" "$@"\n' "$compiler" "$headers" "$libraries" \
    >"$folder/cc"
  chmod +x "$folder/cc"
  echo "$folder/cc"
}

mkdir -p "$folder"
case ${2:-} in
  compiler)
    install_compiler
    write_compiler
    ;;
  unpack)
    [ $# -ge 4 ] || fail "unpack needs a folder and packages"
    shift 2
    use_index
    unpack "$@"
    ;;
  search)
    [ $# -eq 3 ] || fail "search needs a pattern"
    use_index
    apt-cache search --names-only "$3" | cut -d ' ' -f 1
    ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
