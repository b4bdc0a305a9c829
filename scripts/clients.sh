#!/bin/sh
# Runs unmodified clients and servers over the library: tests/clients, and then the fleet behind
# haproxy: tests/fleet, in both runtimes. Installs what is missing: servers from Debian's packages,
# and the software under test from npm into tests/clients/node_modules. The last line is "N passed,
# N failed".
#
#   scripts/clients.sh            both runtimes
#   scripts/clients.sh deno       one of them
#   scripts/clients.sh --fleet    the fleet alone, in both runtimes
#   scripts/clients.sh --install  installs, and runs nothing
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
clients=true
case ${1:-} in
  "") runtimes="deno bun" ;;
  --fleet)
    runtimes="deno bun"
    clients=false
    ;;
  --install) runtimes= ;;
  deno | bun) runtimes=$1 ;;
  *)
    sed -n 2,10p "$0" >&2
    exit 2
    ;;
esac

PATH=$PATH:/usr/sbin:/usr/local/sbin

# need PACKAGE TEST...: the name of a package whose test fails.
need() {
  package=$1
  shift
  "$@" >/dev/null 2>&1 || echo "$package"
}

has() {
  command -v "$1"
}

missing() {
  need haproxy has haproxy
  [ "$clients" = true ] || return 0
  need redis-server has redis-server
  need postgresql ls /usr/lib/postgresql/*/bin/initdb
  need mariadb-server has mariadbd
  need mosquitto has mosquitto
  need vsftpd has vsftpd
  need nats-server has nats-server
  need rabbitmq-server ls /usr/lib/rabbitmq/bin/rabbitmq-server
  need slapd has slapd
  need socat has socat
  need openssl has openssl
  need curl has curl
  need wrk has wrk
}

# shellcheck disable=SC2046 # one word per package
install_system() {
  command="apt-get update && apt-get install -y --no-install-recommends $*"
  echo "clients: $command"
  if [ "$(id -u)" = 0 ]; then
    # The tests start servers of their own: the packages' must not start.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c "$command"
  else
    sudo -n env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c "$command"
  fi
}

packages=$(missing)
if [ -n "$packages" ]; then
  # shellcheck disable=SC2086 # one word per package
  install_system $packages
fi

stamp=tests/clients/node_modules/.installed
wanted=$(cat tests/clients/package.json tests/clients/package-lock.json | cksum)
if [ "$clients" = true ] && [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  if has npm >/dev/null; then
    npm ci --prefix tests/clients --no-audit --no-fund --ignore-scripts
  else
    sh scripts/tool.sh deno run --allow-all --no-config --no-lock npm:npm@11 ci \
      --prefix tests/clients --no-audit --no-fund --ignore-scripts
  fi
  echo "$wanted" >"$stamp"
fi

[ -n "$runtimes" ] || exit 0

export URINGNET_CLIENTS=1 NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# run RUNTIME FOLDER: its tests; what they print and their exit status go to files.
run() {
  log=$logs/$1-$2
  case $1 in
    deno) set -- deno test --allow-ffi --allow-env --allow-net --allow-read --allow-run \
      --allow-write --allow-sys "tests/$2/" ;;
    bun) set -- bun test "tests/$2/" ;;
  esac
  status=0
  sh scripts/tool.sh "$@" >"$log" 2>&1 || status=$?
  echo "$status" >"$log.status"
}

runs=
if [ "$clients" = true ]; then
  # Both at the same time: much of it is waiting for servers to start.
  for runtime in $runtimes; do
    run "$runtime" clients &
    runs="$runs $runtime-clients"
  done
  wait
fi
# One after the other: each of them loads the whole machine.
for runtime in $runtimes; do
  run "$runtime" fleet
  runs="$runs $runtime-fleet"
done
passed=0
failed=0
for name in $runs; do
  echo "--- $name"
  log=$logs/$name
  cat "$log"
  ran=$(sed -n 's/^[okFAILED]* |.* \([0-9]*\) passed.*/\1/p; s/^ *\([0-9]*\) pass$/\1/p' "$log")
  broke=$(sed -n 's/^[okFAILED]* |.* \([0-9]*\) failed.*/\1/p; s/^ *\([0-9]*\) fail$/\1/p' "$log")
  ran=${ran:-0}
  broke=${broke:-0}
  # A runner that crashed or ran nothing has failed, whatever it counted.
  if [ "$broke" = 0 ] && { [ "$(cat "$log.status")" != 0 ] || [ "$ran" = 0 ]; }; then broke=1; fi
  passed=$((passed + ran))
  failed=$((failed + broke))
done
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
