#!/bin/sh
# Check every committed report against the runs, with the command that stands in it.
set -eu
: "${BIN:?the directory of the tunixrt command}"
cd "$(dirname "$0")/.."
PATH="$BIN:$PATH"
reports=$(find docs/showcase -name report.md -exec dirname {} \;)
test -n "$reports" || { echo "error: there is no report in docs/showcase" >&2; exit 1; }
for report in $reports; do
  command=$(grep '^tunixrt report ' "$report/report.md")
  $command -o "$report" --check >/dev/null
  echo "$report: the same bytes."
done
