#!/bin/sh
# Writes dist/: the library as one JavaScript file for each entry point of package.json, and the
# files that they share, so that every class is the same whichever entry point it came through.
#
#   scripts/bundle.sh    dist/mod.js, dist/net.js and so on, and dist/shared-HASH.js
#
# A start reads 2 files in place of almost 200 that must each be found, read, checked and, in
# TypeScript, translated. The sources stay what is edited, tested and imported in a checkout. The
# package has both, and its entry points are the bundled files; a host that serves the library by
# URL serves dist/ beside mod.ts. Run by `npm pack` and `bun pm pack` (prepack), also in a fresh
# clone.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# Not to standard output, which belongs to the packer.
sh scripts/tool.sh esbuild >/dev/null 2>&1 || sh scripts/setup.sh --packages >&2

# The command is bundled as well, because Deno does not run TypeScript below node_modules. The main
# module is the command, and never the doctor, which is in the same file.
# The entry points are what tsconfig.types.json lists: each has declarations below types/.
entries=$(sed -n 's#^ *"\(.*\.ts\)",\{0,1\}$#\1#p' tsconfig.types.json)
rm -rf dist
# shellcheck disable=SC2086 # one word for each file
sh scripts/tool.sh esbuild $entries bin/uringnet.ts --bundle --splitting --format=esm \
  --target=esnext --platform=neutral --define:import.meta.main=false \
  --external:prom-client '--external:npm:*' '--external:node:*' \
  --outdir=dist '--entry-names=[name]' '--chunk-names=shared-[hash]' --log-level=warning >&2

for file in dist/*.js; do
  # `var X = class _X` hides a name that people see; inside the class both names mean the class.
  for name in $(sed -n 's/^var \([A-Za-z0-9]*\) = class _\1 .*/\1/p' "$file"); do
    sed -i "s/\\b_$name\\b/$name/g" "$file"
  done
done
for entry in $entries; do
  file=dist/$(basename "$entry" .ts).js
  {
    echo "// Made by scripts/bundle.sh from $entry. Do not edit."
    echo "// @ts-self-types=\"../$entry\""
    cat "$file"
  } >"$file.new"
  mv -f "$file.new" "$file"
done
# Bun takes files with this mark as they are. It would spend 17 ms on translating them where it has
# not kept the outcome of an earlier run, as in a new container.
for file in dist/*.js; do
  # The command keeps its first line, which names the interpreter.
  case $(head -n 1 "$file") in
    '#!'*) sed -i '1a // @bun' "$file" ;;
    *) sed -i '1i // @bun' "$file" ;;
  esac
done
chmod +x dist/uringnet.js
echo "bundle: wrote $(find dist -name '*.js' | wc -l | tr -d ' ') files to dist/" >&2
