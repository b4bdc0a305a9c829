# quietly COMMAND...: compilers talk only when they fail. To be sourced.
quietly() {
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    rm -f "$log"
    return
  fi
  cat "$log" >&2
  rm -f "$log"
  exit 1
}
