"""The input of a report: facts on the runs, as plain values.

The caller fills these from manifests and run files; the report layer reads no files, so a report
can be tested and rendered from values alone.
"""

from __future__ import annotations

import msgspec

from tunixrt.eval.compare.pairs import Comparison, EvaluatedRun
from tunixrt.eval.compare.seeds import SeedsComparison
from tunixrt.eval.contamination import Contamination
from tunixrt.log.digests import Digest
from tunixrt.runs.lines import LedgerLine, MetricsLine


class TrainingView(msgspec.Struct, frozen=True):
    """The training run of a model.

    Attributes:
        run_id: 64 hex digits.
        dataset_key: ``name-version``.
        dataset: the digest of the dataset.
        split: the split that was trained on.
        text: the digest of the examples read.
        base: where the weights started, a run id or a description; None for initial weights.
        n_params: parameters of the model.
        seeds: every seed by name.
        config: the resolved configuration as dotted keys and values in text.
        losses: the training steps, in order.
        ledger: the outcome of each record, in dataset order.
    """

    run_id: str
    dataset_key: str
    dataset: Digest
    text: Digest
    split: str
    base: str | None
    n_params: int
    seeds: dict[str, int]
    config: dict[str, str]
    losses: tuple[MetricsLine, ...]
    ledger: tuple[LedgerLine, ...]


class RunView(msgspec.Struct, frozen=True):
    """One evaluation run and the model that it evaluated.

    Attributes:
        run_id: of the evaluation, 64 hex digits.
        model: what was evaluated, in words: ``untrained nano``, ``trained on gsm-v1``.
        weights: the digest of ``model.safetensors``.
        evalset_name: the name of the eval set.
        evaluation: predictions, and the digest of the eval set, judge, template and limit.
        numeric_mode: ``fast`` or ``portable``.
        numeric_class: the digest of the machine's numeric class; None where it is irrelevant.
        sources: the digest of the sources of ``tunixrt/ml``.
        versions: the numeric packages by name.
        training: the run that trained the model; None for an untrained model or a directory.
        contamination: the overlap of eval set and training data; None if not checked.
    """

    run_id: str
    model: str
    weights: Digest
    evalset_name: str
    evaluation: EvaluatedRun
    numeric_mode: str
    numeric_class: Digest | None
    sources: Digest
    versions: dict[str, str]
    training: TrainingView | None = None
    contamination: Contamination | None = None


class Command(msgspec.Struct, frozen=True):
    """A command line, and its purpose, as the start of a sentence without a full stop."""

    purpose: str
    line: str


class ReportView(msgspec.Struct, frozen=True):
    """A report: two evaluation runs, their comparison, commands and warnings.

    Attributes:
        before: the baseline run.
        after: the run compared with it.
        comparison: of ``after`` with ``before``.
        commands: how the runs were made; the commands that check them are added.
        warnings: further sentences for the section on limits.
    """

    before: RunView
    after: RunView
    comparison: Comparison
    commands: tuple[Command, ...] = ()
    warnings: tuple[str, ...] = ()


class ExperimentView(msgspec.Struct, frozen=True):
    """A report on two ways of training with several seeds each.

    Attributes:
        pairs: the pairs of runs, one per seed.
        comparison: of the way after with the way before.
    """

    pairs: tuple[ReportView, ...]
    comparison: SeedsComparison
