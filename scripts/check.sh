#!/bin/sh
# Everything about the sources that needs no ring: format, lint, types, documentation, layers. About
# half a minute. Runs all of it even when a step fails.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
export NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
deno=$(sh scripts/tool.sh deno) || exit 1
bun=$(sh scripts/tool.sh bun) || exit 1
tsc=$(sh scripts/tool.sh tsc) || exit 1
failed=

# step NAME COMMAND...: prints what a command says only when the command fails.
step() {
  name=$1
  shift
  if output=$("$@" 2>&1); then
    echo "check: $name: ok"
  else
    printf '%s\n' "$output"
    echo "check: $name: FAILED"
    failed="$failed, $name"
  fi
}

# existing PATH...: those that are there.
existing() {
  for path in "$@"; do
    [ ! -e "$path" ] || echo "$path"
  done
}

step format "$deno" fmt --check
step lint "$deno" lint
# A library does not print.
# shellcheck disable=SC2046 # one word per path
step "lint (library)" "$deno" lint --rules-include=no-console $(existing mod.ts deps.ts src ffi)
# shellcheck disable=SC2046
step "types (deno)" "$deno" check $(existing mod.ts deps.ts tests examples bench)
step "types (tsc)" "$tsc" -p tsconfig.json
# shellcheck disable=SC2046
step "doc comments" "$deno" doc --lint $(sh scripts/entry_points.sh)
step "layers, documents" "$bun" test tests/tidy_test.ts tests/docs_test.ts \
  tests/package/public_surface_test.ts tests/package/manifest_test.ts

[ -z "$failed" ] || {
  echo "check: failed:${failed#,}"
  exit 1
}
