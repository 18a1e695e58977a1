#!/bin/sh
# Make everything that is committed again from nothing: traces, dataset, eval set, runs, reports.
# `make committed` calls this; a change of the numeric sources that changes bits needs it.
set -eu
: "${BIN:?the directory of the tunixrt command}"
cd "$(dirname "$0")/.."

tunixrt() { "$BIN/tunixrt" "$@"; }
# The id of the run that a command made.
made() {
  document=$(tunixrt "$@" --json) || exit  # the status of a pipe would be that of its end
  "$BIN/python" -c 'import json, sys; print(json.loads(sys.argv[1])["run_id"])' "$document"
}
# A nano model with a seed, trained on a data format, and its evaluation.
evaluated() {
  run=$(made train nano --dataset arithmetic-v1 --set training.seed="$1" \
    --set data.shuffle_seed="$1" --set data.format="$2")
  made eval "$run" --evalset arithmetic_v1
}

rm -rf docs/showcase store/log store/snapshots store/datasets runs evalsets/arithmetic_v1.jsonl
tunixrt init .
tunixrt trace generate arithmetic --kind addition --digits 3 -n 6000 --seed 0
tunixrt evalset generate arithmetic --kind addition --digits 3 -n 256 --seed 0 \
  --name arithmetic_v1
tunixrt dataset build arithmetic v1 --where source=arithmetic

# The example: addition before and after training.
before=$(made eval untrained:nano --evalset arithmetic_v1)
steps=$(evaluated 0 tunix_sft)
tunixrt report "$before" "$steps" -o docs/showcase

# The experiment: the same traces, answers alone against steps and answers, three seeds each.
answers=$(evaluated 0 answer_only)
for seed in 1 2; do
  steps="$steps,$(evaluated $seed tunix_sft)"
  answers="$answers,$(evaluated $seed answer_only)"
done
tunixrt report "$answers" "$steps" -o docs/showcase/steps
tunixrt verify --rebuild
