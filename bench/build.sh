#!/bin/sh
# build.sh: compiles the load client, the C reference servers and features.c into bench/build/,
# printing each command, and writes the server there that starts from bundled files (dist/:
# scripts/bundle.sh).
# Usage: bench/build.sh, from anywhere. CC and CFLAGS may be set. Needs liburing 2.3 or
# newer with its static library (Debian: liburing-dev).
set -eu
cd "$(dirname "$0")"
mkdir -p build
echo '*' >build/.gitignore

set -x
${CC:-gcc} -std=c11 ${CFLAGS:--O2} -Wall -Wextra -Werror -o build/client client.c
${CC:-gcc} -std=c11 ${CFLAGS:--O2} -Wall -Wextra -Werror -o build/epoll_echo peers/epoll_echo.c
${CC:-gcc} -std=c11 ${CFLAGS:--O2} -Wall -Wextra -Werror -o build/uring_echo peers/uring_echo.c \
  -l:liburing.a
${CC:-gcc} -std=c11 ${CFLAGS:--O2} -Wall -Wextra -Werror -o build/features features.c -l:liburing.a
sed 's#"../../mod.ts"#"../../dist/mod.js"#' peers/uringnet_start.ts >build/uringnet_start.ts
