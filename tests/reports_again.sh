#!/bin/sh
# Check every committed report against the runs, with the command that stands in it.
set -eu
: "${BIN:?the directory of the tunixrt command}"
cd "$(dirname "$0")/.."
PATH="$BIN:$PATH"
for report in $(find docs/showcase -name report.md -exec dirname {} \;); do
  command=$(grep '^tunixrt report ' "$report/report.md")
  $command -o "$report" --check >/dev/null
  echo "$report: the same bytes."
done
