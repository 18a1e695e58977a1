#!/bin/sh
# Write every committed report again, with the command that stands in it, and compare the bytes.
set -eu
: "${BIN:?the directory of the tunixrt command}"
cd "$(dirname "$0")/.."
PATH="$BIN:$PATH"
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
for report in $(find docs/showcase -name report.md -exec dirname {} \;); do
  command=$(grep '^tunixrt report ' "$report/report.md")
  $command -o "$again" >/dev/null
  for file in "$again"/*; do
    cmp "$file" "$report/$(basename "$file")"
  done
  rm -f "$again"/*
  echo "$report: written again, the same bytes."
done
