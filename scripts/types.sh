#!/bin/sh
# Writes the declarations that the package ships to types/, for type checkers that must not see the
# .ts files. Run by `npm pack` and `bun pm pack` (prepack), also in a fresh clone: the compiler is
# installed into node_modules when it is missing.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# Not to standard output, which belongs to the packer.
sh scripts/tool.sh tsc >/dev/null 2>&1 || sh scripts/setup.sh --packages >&2
rm -rf types
sh scripts/tool.sh tsc -p tsconfig.types.json
# Declarations import each other as .d.ts files, and the package by its plain name.
find types -name '*.d.ts' -exec sed -i \
  -e 's#\(["'\'']\.\{1,2\}/[^"'\'']*\)\.ts\(["'\'']\)#\1.js\2#g' \
  -e 's#\(["'\'']\)npm:prom-client@[^"'\'']*#\1prom-client#g' {} +
