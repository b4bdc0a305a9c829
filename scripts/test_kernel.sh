#!/bin/sh
# Runs test suites in both runtimes on another Linux, in an emulator: by default on the oldest that
# is supported, or on one too old for io_uring.
#
#   scripts/test_kernel.sh                      tests/contract, kernel and netem on Linux 6.1
#   scripts/test_kernel.sh tests/sim            other paths
#   KERNEL=6.12 scripts/test_kernel.sh          another Linux: any cloud kernel that apt offers
#   KERNEL=5.10 scripts/test_kernel.sh          Debian 11's, without io_uring as it is needed here
#   URINGNET_SEED=7 scripts/test_kernel.sh      the seed of a run again
#   ACCELERATOR=tcg scripts/test_kernel.sh      kvm, tcg, or auto: kvm where it boots, else tcg
#   MACHINE=aarch64 scripts/test_kernel.sh      a machine of another kind, with its own runtimes
#
# Debian's cloud kernel is downloaded and unpacked into ffi/build/floor, not installed; the emulator
# (qemu-system-x86) and iproute2 are installed when they are missing. The machine boots from memory:
# its initramfs holds both runtimes, the library, the tests, the modules that tests need and the
# programs `ip` and `tc`; tests/floor/init is its first process.
# Linux 5.10 is looked up in an index of Debian 11 below ffi/build/floor, which nothing else uses.
# For another machine the library is cross-compiled (scripts/cross.sh), and the runtimes come from
# npm: of Bun the version that is here, of Deno the newest that there is.
# The last line is "N passed, N failed".
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
KERNEL=${KERNEL:-6.1}
ACCELERATOR=${ACCELERATOR:-auto}
host=$(uname -m)
MACHINE=${MACHINE:-$host}
# Until the first process speaks: 4 s when emulated, 2 s with kvm, on an otherwise idle machine.
BOOT_SECONDS_MAX=${BOOT_SECONDS_MAX:-300}
KVM_BOOT_SECONDS_MAX=20
# One runtime's suites take about 2 minutes when emulated.
RUNTIME_SECONDS_MAX=${RUNTIME_SECONDS_MAX:-1800}
# Emulation costs a factor of about 10; on a busy host more.
SLOWNESS=${SLOWNESS:-20}
# Of the kernel's modules, those that tests/netem needs. Neither depends on another module.
MODULES="veth sch_netem"
MEMORY_MIB=3072
PROCESSORS=2
# A busy host stops the machine for seconds, which is no fault of its kernel.
LINUX_OPTIONS="nowatchdog rcupdate.rcu_cpu_stall_suppress=1"
APT_SECONDS_MAX=300
APT_OPTIONS="-q -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o APT::Sandbox::User=root"
cache=ffi/build/floor
[ "$MACHINE" = "$host" ] || cache=ffi/build/floor-$MACHINE
staged=$cache/root
log=$cache/console.log
apt_log=$(pwd)/$cache/apt.log

fail() {
  echo "test_kernel: $*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

case $KERNEL in
  *[!0-9.]* | *.*.* | .* | *. | "") fail "KERNEL must be like 6.1, got \"$KERNEL\"" ;;
  *.*) ;;
  *) fail "KERNEL must be like 6.1, got \"$KERNEL\"" ;;
esac
case $MACHINE in
  x86_64)
    architecture=amd64
    emulator_package=qemu-system-x86
    console=ttyS0
    board=
    emulated=max
    ;;
  aarch64)
    architecture=arm64
    emulator_package=qemu-system-arm
    console=ttyAMA0
    board="-machine virt"
    # A processor of servers. On qemu's own "max", with SVE, Bun 1.4.5 crashes now and then.
    emulated=neoverse-n1
    ;;
  *) fail "MACHINE must be x86_64 or aarch64, got \"$MACHINE\"" ;;
esac
foreign=false
if [ "$MACHINE" != "$host" ]; then
  foreign=true
  [ "$ACCELERATOR" = auto ] && ACCELERATOR=tcg
fi
# Where io_uring cannot be used: what refuses it, and the backend that is left.
old=false
case $KERNEL in
  4.* | 5.*)
    old=true
    [ "$foreign" = false ] || fail "Linux $KERNEL is for $host alone"
    [ $# -gt 0 ] || set -- tests/kernel/refusals_test.ts tests/contract/portable_test.ts \
      tests/contract/portable_differences_test.ts
    ;;
esac
[ $# -gt 0 ] || set -- tests/contract tests/kernel tests/netem
suites=
for path in "$@"; do
  [ -e "$path" ] || fail "no such file or folder: $path"
  suites="$suites ./${path#./}"
done

case $ACCELERATOR in
  auto | kvm | tcg) ;;
  *) fail "ACCELERATOR must be auto, kvm or tcg, got \"$ACCELERATOR\"" ;;
esac

# ----------------------------------------------------------------------------------- what is needed

# apt COMMAND...: apt-get, for a limited time; what it says goes to a file.
apt() {
  # shellcheck disable=SC2086 # several words
  timeout "$APT_SECONDS_MAX" apt-get $APT_OPTIONS "$@"
}

# apt_as_root COMMAND...: the same where the system is changed.
apt_as_root() {
  has apt-get || fail "this needs apt-get $*, and there is no apt-get here"
  echo "test_kernel: apt-get $*"
  export DEBIAN_FRONTEND=noninteractive
  if [ "$(id -u)" = 0 ]; then
    apt "$@" >"$apt_log" 2>&1
  elif has sudo && sudo -n true 2>/dev/null; then
    # shellcheck disable=SC2086
    timeout "$APT_SECONDS_MAX" sudo -n -E apt-get $APT_OPTIONS "$@" >"$apt_log" 2>&1
  else
    fail "this needs root: apt-get $*"
  fi
}

# apt_failed WHAT: the end of what apt-get said, and the reason.
apt_failed() {
  tail -n 10 "$apt_log" | sed 's/^/  apt-get: /' >&2
  fail "cannot $* (within $APT_SECONDS_MAX s)"
}

updated=false
update() {
  [ "$updated" = false ] || return 0
  updated=true
  # The list of some other origin may fail: what counts is whether the package is found then.
  apt_as_root update || tail -n 3 "$apt_log" | sed 's/^/  apt-get: /' >&2
}

# install PROGRAM PACKAGE: installs the package where the program is missing.
install() {
  ! has "$1" || return 0
  update
  apt_as_root install -y --no-install-recommends "$2" || apt_failed "install $2"
}

# unpack PACKAGE FOLDER: downloads a package and unpacks it there, without installing it.
unpack() {
  if [ "$foreign" = true ]; then
    sh scripts/cross.sh "$MACHINE" unpack "$2" "$1"
    return
  fi
  echo "test_kernel: apt-get download $1"
  rm -rf "$2.new"
  mkdir -p "$2.new"
  (cd "$2.new" && apt download "$1") >"$apt_log" 2>&1 || return 1
  dpkg -x "$2.new/"*.deb "$2.new/" >>"$apt_log" 2>&1 || return 1
  rm -rf "$2" "$2.new/"*.deb
  mv "$2.new" "$2"
}

# use_old_index: from here on, apt speaks of Debian 11. Its lists are signed, but may be past the
# day until which they are valid: it gets no more updates.
use_old_index() {
  folder=$(pwd)/$cache/debian-11
  mkdir -p "$folder/lists/partial" "$folder/archives/partial"
  : >"$folder/status"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  for archive in "debian bullseye" "debian-security bullseye-security"; do
    echo "deb [signed-by=$keys] http://deb.debian.org/$archive main"
  done >"$folder/sources.list"
  cat >"$folder/apt.conf" <<CONFIG
Acquire::Check-Valid-Until "false";
Dir::State "$folder";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "-";
CONFIG
  export APT_CONFIG="$folder/apt.conf"
  updated=false
}

use_usual_index() {
  unset APT_CONFIG
  updated=false
}

# The newest package of this Linux that apt knows, or nothing.
kernel_package() {
  pattern="^linux-image-$(echo "$KERNEL" | sed 's/\./\\./')\.[0-9].*-cloud-$architecture\$"
  if [ "$foreign" = true ]; then
    sh scripts/cross.sh "$MACHINE" search "$pattern"
  else
    apt-cache search --names-only "$pattern" | cut -d ' ' -f 1
  fi | sort -V | tail -n 1
}

kernel_image() {
  find "$cache/linux-$KERNEL/boot" -name 'vmlinuz-*' 2>/dev/null | head -n 1
}

# Keeps the modules that tests need, uncompressed, and drops the thousands of others.
keep_modules() {
  unpacked=$cache/linux-$KERNEL
  mkdir -p "$unpacked/modules"
  for module in $MODULES; do
    file=$(find "$unpacked" -name "$module.ko*" | head -n 1)
    case $file in
      *.ko) cp "$file" "$unpacked/modules/$module.ko" ;;
      *.ko.xz) install xz xz-utils && xz -dc "$file" >"$unpacked/modules/$module.ko" ;;
      *.ko.zst) install zstd zstd && zstd -qdc "$file" >"$unpacked/modules/$module.ko" ;;
      *) echo "test_kernel: $package has no module $module: tests that need it are skipped" ;;
    esac
  done
  rm -rf "$unpacked/lib" "$unpacked/usr"
}

# Unpacks Linux where there is none yet. Old lists may name packages that are gone: so twice.
fetch_kernel() {
  kernel=$(kernel_image)
  [ -z "$kernel" ] || [ ! -d "$cache/linux-$KERNEL/modules" ] || return 0
  has apt-get || fail "no apt-get here, and no Linux $KERNEL in $cache"
  [ "$old" = false ] || use_old_index
  package=$(kernel_package)
  if [ -z "$package" ] || ! unpack "$package" "$cache/linux-$KERNEL"; then
    update
    package=$(kernel_package)
    [ -n "$package" ] || fail "apt knows no linux-image-$KERNEL.*-cloud-$architecture"
    unpack "$package" "$cache/linux-$KERNEL" || apt_failed "download $package"
  fi
  [ "$old" = false ] || use_usual_index
  keep_modules
  kernel=$(kernel_image)
  [ -n "$kernel" ] || fail "$package has no boot/vmlinuz-*"
}

# Its shell and small tools are all that the machine has besides the runtimes.
fetch_busybox() {
  if [ "$foreign" = true ] && ! has cpio; then
    apt_as_root install -y --no-install-recommends cpio || apt_failed "install cpio"
  fi
  busybox=$cache/busybox/bin/busybox
  [ ! -x "$busybox" ] || return 0
  has apt-get || fail "no apt-get here, and no $busybox"
  unpack busybox-static "$cache/busybox" || {
    update
    unpack busybox-static "$cache/busybox" || apt_failed "download busybox-static"
  }
  # Where /bin is a part of /usr.
  if [ ! -x "$busybox" ]; then
    mkdir -p "$cache/busybox/bin"
    mv "$cache/busybox/usr/bin/busybox" "$busybox"
  fi
}

# ------------------------------------------------------------------------------------ the initramfs

# Every shared library that these programs are linked with, the loader included.
libraries() {
  ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ :]*\) .*/\1/p' | sort -u
}

# fetch_package NAME VERSION FOLDER: a package of npm, or its newest version.
fetch_package() {
  [ ! -d "$3" ] || return 0
  has npm || fail "no npm here, and no $3"
  echo "test_kernel: npm pack $1"
  rm -rf "$3.new"
  mkdir -p "$3.new"
  npm_log=$cache/npm.log
  (cd "$3.new" && { npm pack --silent "$1@$2" || npm pack --silent "$1"; }) >"$npm_log" 2>&1 ||
    { cat "$npm_log" >&2 && fail "cannot download $1"; }
  tar -xzf "$3.new/"*.tgz -C "$3.new"
  mv "$3.new" "$3"
}

# The runtimes of another machine, with the libraries that they need.
fetch_runtimes() {
  here=$(sh scripts/tool.sh bun --version)
  fetch_package "@oven/bun-linux-$MACHINE" "$here" "$cache/bun"
  here=$(sh scripts/tool.sh deno --version | sed -n '1s/^deno \([^ ]*\).*/\1/p')
  fetch_package "@deno/linux-$architecture-glibc" "$here" "$cache/deno"
  [ -d "$cache/libraries" ] ||
    sh scripts/cross.sh "$MACHINE" unpack "$cache/libraries" libc6 libgcc-s1 libstdc++6
}

# The programs `ip` and `tc` of another machine, and what they are linked with in Debian 12.
fetch_iproute() {
  [ ! -d "$cache/iproute" ] || return 0
  rm -rf "$cache/iproute.new"
  sh scripts/cross.sh "$MACHINE" unpack "$cache/iproute.new" iproute2 libbpf1 libelf1 libmnl0 \
    libbsd0 libcap2 libxtables12 libmd0 zlib1g
  mv "$cache/iproute.new" "$cache/iproute"
}

# What the machine runs: its runtimes, the library, and the libraries that those are linked with.
stage_programs() {
  if [ "$foreign" = true ]; then
    fetch_runtimes
    fetch_iproute
    deno=$cache/deno/package/deno
    bun=$cache/bun/package/bin/bun
    ip=$(find "$cache/iproute" -path '*bin/ip' -type f | head -n 1)
    tc=$(find "$cache/iproute" -path '*bin/tc' -type f | head -n 1)
    built=ffi/build/$MACHINE
    cp -a "$cache/libraries/." "$staged/"
    (cd "$cache/iproute" && find . -name '*.so*' | tar -cf - -T -) | tar -xf - -C "$staged"
    rm -rf "$staged/usr/share"
    # Not liburingnet.so: the copy that is carried along is what users have there.
    cp "$built/liburingnet-faults.so" "$staged/project/ffi/build/"
  else
    deno=$(sh scripts/tool.sh deno)
    bun=$(sh scripts/tool.sh bun)
    ip=$(command -v ip)
    tc=$(command -v tc)
    built=ffi/build
    for library in $(libraries "$deno" "$bun" "$ip" "$tc" ffi/build/liburingnet.so); do
      mkdir -p "$staged$(dirname "$library")"
      cp -L "$library" "$staged$library"
    done
    cp "$built"/*.so "$staged/project/ffi/build/"
  fi
  cp -L "$deno" "$staged/bin/deno"
  cp -L "$bun" "$staged/bin/bun"
  # Not in bin: the small ones of busybox are there.
  mkdir -p "$staged/sbin"
  cp -L "$ip" "$tc" "$staged/sbin/"
}

# cpio: that of the machine's own busybox where it runs here.
pack() {
  if [ "$foreign" = true ]; then cpio "$@"; else "$root/$busybox" cpio "$@"; fi
}

build_initramfs() {
  rm -rf "$staged"
  mkdir -p "$staged/bin" "$staged/etc" "$staged/floor" "$staged/project/ffi/build"
  cp "$busybox" "$staged/bin/busybox"
  stage_programs
  printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >"$staged/etc/hosts"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$staged/etc/passwd"
  # Every module at the root: an entry point that is added is there without a word here.
  cp -R ./*.ts package.json tsconfig.json bunfig.toml src tests bench scripts \
    "$staged/project/"
  # Not the sources in C: the libraries were built here, and are used as they are.
  cp -R ffi/*.ts ffi/embedded "$staged/project/ffi/"
  # There is no network to load packages from: Deno takes those of node_modules as well.
  sed 's/"nodeModulesDir": "none"/"nodeModulesDir": "manual"/' deno.json \
    >"$staged/project/deno.json"
  mkdir "$staged/project/node_modules"
  for module in node_modules/*; do
    # The runtimes themselves are there already, and no test compiles.
    case ${module#node_modules/} in
      deno | @deno | bun | @oven | typescript | @types | undici-types) ;;
      *) cp -RL "$module" "$staged/project/node_modules/" ;;
    esac
  done
  cp tests/floor/init "$staged/init"
  cp -R "$cache/linux-$KERNEL/modules" "$staged/floor/modules"
  cat >"$staged/floor/settings" <<SETTINGS
SUITES="$suites"
SLOWNESS=$SLOWNESS
SEED=${URINGNET_SEED:-}
RUNTIME_SECONDS_MAX=$RUNTIME_SECONDS_MAX
SETTINGS
  # Not compressed: unpacking it in an emulated machine would cost more than reading it.
  (cd "$staged" && find . | pack -o -H newc >../initramfs.new 2>../cpio.log) ||
    { cat "$cache/cpio.log" >&2 && fail "cannot write the initramfs"; }
  mv "$cache/initramfs.new" "$cache/initramfs"
  rm -rf "$staged"
}

# ------------------------------------------------------------------------------------------ the run

emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Some nested machines have a /dev/kvm that cannot run an ordinary Linux: no svm and no vmx there.
kvm_offered() {
  [ -r /dev/kvm ] && [ -w /dev/kvm ] && grep -qwE 'svm|vmx' /proc/cpuinfo
}

# boot ACCELERATOR SECONDS: starts the machine and waits until it speaks. False when it does not.
boot() {
  case $1 in
    kvm) processor=host ;;
    *) processor=$emulated ;;
  esac
  echo "test_kernel: $(basename "$kernel") in qemu ($1), $PROCESSORS processors, $MEMORY_MIB MiB"
  : >"$log"
  # shellcheck disable=SC2086 # two words, or none
  "qemu-system-$MACHINE" $board -accel "$1" -cpu "$processor" -smp "$PROCESSORS" -m "$MEMORY_MIB" \
    -nodefaults -no-user-config -display none -monitor none -no-reboot -serial "file:$log" \
    -kernel "$kernel" -initrd "$cache/initramfs" \
    -append "console=$console panic=-1 quiet loglevel=4 $LINUX_OPTIONS" \
    </dev/null >"$cache/qemu.log" 2>&1 &
  emulator=$!
  started_at=$(date +%s)
  until grep -q '^floor: up' "$log"; do
    waited=$(($(date +%s) - started_at))
    if ! kill -0 "$emulator" 2>/dev/null; then
      reason="the emulator ended before Linux was up"
    elif [ "$waited" -ge "$2" ]; then
      reason="Linux was not up after $waited s"
    else
      sleep 0.2
      continue
    fi
    stop
    return 1
  done
}

stop() {
  kill -KILL "$emulator" 2>/dev/null || true
  wait "$emulator" 2>/dev/null || true
  emulator=
}

show_end() {
  sed 's/^/  qemu: /' "$cache/qemu.log" >&2
  tail -n 30 "$log" | sed 's/\r$//; s/^/  console: /' >&2
}

# Shows the console until the machine turns itself off. False, with the reason, when it does not.
follow() {
  tail -n +1 -f --pid="$emulator" "$log" | sed -u 's/\r$//' &
  tail_process=$!
  limit=$((2 * RUNTIME_SECONDS_MAX + 60))
  started_at=$(date +%s)
  ended=true
  while kill -0 "$emulator" 2>/dev/null; do
    if [ $(($(date +%s) - started_at)) -ge "$limit" ]; then
      reason="the machine was still running after $limit s"
      ended=false
      stop
      break
    fi
    sleep 1
  done
  [ -z "$emulator" ] || stop
  wait "$tail_process" || true
  [ "$ended" = true ]
}

# -------------------------------------------------------------------------------------- the verdict

# section NAME: what a runner printed.
section() {
  sed 's/\r$//' "$log" | sed -n "/^floor: begin $1\$/,/^floor: end $1 /p"
}

# number PATTERN FILE: the number that the last line matching the pattern captures, or 0.
number() {
  found=$(sed -n "s/$1/\1/p" "$2" | tail -n 1)
  echo "${found:-0}"
}

passed=0
failed=0
skipped=0

broken() {
  failed=$((failed + 1))
  echo "test_kernel: counted as one failure: $*" >&2
}

# judge NAME PASSED FAILED SKIPPED: counts one runner by the patterns of its last lines.
judge() {
  section "$1" >"$cache/section.log"
  ran=$(number "$2" "$cache/section.log")
  broke=$(number "$3" "$cache/section.log")
  left=$(number "$4" "$cache/section.log")
  passed=$((passed + ran))
  failed=$((failed + broke))
  skipped=$((skipped + left))
  echo "  $1: $ran passed, $broke failed, $left skipped"
  status=$(number "floor: end $1 \([0-9]*\)" "$cache/section.log")
  if ! grep -q "^floor: end $1 " "$cache/section.log"; then
    broken "$1 never ended"
  elif [ "$status" = 137 ]; then
    broken "$1 was still running after $RUNTIME_SECONDS_MAX s"
  elif [ "$broke" = 0 ] && { [ "$status" != 0 ] || [ "$((ran + left))" = 0 ]; }; then
    broken "$1 ended with exit status $status after $ran passed tests"
  fi
}

mkdir -p "$cache"
if [ "$foreign" = true ]; then
  CC=$(sh scripts/cross.sh "$MACHINE" compiler)
  export CC
  OUTPUT=ffi/build/$MACHINE sh scripts/build.sh --faults
else
  sh scripts/build.sh --faults
fi
install "qemu-system-$MACHINE" "$emulator_package"
[ "$foreign" = true ] || install tc iproute2
fetch_kernel
fetch_busybox
build_initramfs

reason=
began_at=$(date +%s)
accelerator=$ACCELERATOR
if [ "$accelerator" = auto ]; then
  accelerator=tcg
  if kvm_offered; then
    boot kvm "$KVM_BOOT_SECONDS_MAX" && accelerator= || echo "test_kernel: not with kvm: $reason"
  fi
fi
[ -z "$accelerator" ] || boot "$accelerator" "$BOOT_SECONDS_MAX" || { show_end && fail "$reason"; }
follow || broken "$reason"

echo
up=$(sed -n 's/\r$//; s/^floor: up //p' "$log")
echo "Linux $KERNEL, $MACHINE: $up, $(($(date +%s) - began_at)) s"
# "ok | 12 passed | 1 failed | 2 ignored (3s)", and " 12 pass", " 1 fail", " 2 skip"
counts='^[okFAILED]* |.*'
judge bun "^ *\([0-9]*\) pass$" "^ *\([0-9]*\) fail$" "^ *\([0-9]*\) skip$"
judge deno "$counts \([0-9]*\) passed.*" "$counts \([0-9]*\) failed.*" \
  "$counts \([0-9]*\) ignored.*"
# Nothing that the tests do may upset the kernel.
complaint='BUG:|Oops|WARNING: CPU|Kernel panic|Out of memory'
if grep -aE "\[ *[0-9]+\.[0-9]+\] .*($complaint)" "$log" >&2; then
  broken "the kernel complained"
fi
echo
echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
