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

# The compiler writes a declaration for every module. The package ships those that the entry points
# of package.json reach.
reached=$(mktemp)
trap 'rm -f "$reached"' EXIT
sed -n 's#.*"types": "\./\(types/.*\)".*#\1#p' package.json >"$reached"
# A file that is read while it grows: each line is visited once.
while read -r file; do
  folder=$(dirname "$file")
  sed -n 's#.*["'\'']\(\.\{1,2\}/[^"'\'']*\)\.js["'\''].*#\1.d.ts#p' "$file" |
    while read -r import; do realpath -m --relative-to=. "$folder/$import"; done |
    while read -r next; do grep -qxF "$next" "$reached" || echo "$next" >>"$reached"; done
done <"$reached"
find types -name '*.d.ts' | while read -r file; do
  grep -qxF "$file" "$reached" || rm "$file"
done
find types -type d -empty -delete
