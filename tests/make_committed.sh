#!/bin/sh
# Make everything that is committed again from nothing: traces, dataset, eval set, runs, report.
# `make committed` calls this; a change of the numeric sources that changes bits needs it.
set -eu
: "${BIN:?the directory of the tunixrt command}"
cd "$(dirname "$0")/.."
rm -rf docs/showcase store/log store/snapshots store/datasets runs evalsets/arithmetic_v1.jsonl
"$BIN/tunixrt" init .
"$BIN/tunixrt" trace generate arithmetic --kind addition --digits 3 -n 6000 --seed 0
"$BIN/tunixrt" trace generate arithmetic --kind addition --digits 3 -n 256 --seed 0 --held-out \
  -o evalsets/arithmetic_v1.jsonl
"$BIN/tunixrt" dataset build arithmetic v1 --where source=arithmetic
before=$("$BIN/tunixrt" eval untrained:nano --evalset arithmetic_v1 --json | "$BIN/python" -c 'import json, sys; print(json.load(sys.stdin)["run_id"])')
run=$("$BIN/tunixrt" train nano --dataset arithmetic-v1 --json | "$BIN/python" -c 'import json, sys; print(json.load(sys.stdin)["run_id"])')
after=$("$BIN/tunixrt" eval "$run" --evalset arithmetic_v1 --json | "$BIN/python" -c 'import json, sys; print(json.load(sys.stdin)["run_id"])')
"$BIN/tunixrt" report "$before" "$after" -o docs/showcase
"$BIN/tunixrt" verify --rebuild
