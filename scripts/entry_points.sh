#!/bin/sh
# Prints the public entry points, one a line: the exports of deno.json, and the doctor.
set -eu

cd "$(dirname "$0")/.."
sed -n '/"exports"/,/}/s/.*": "\.\/\(.*\.ts\)".*/\1/p' deno.json
echo src/doctor.ts
