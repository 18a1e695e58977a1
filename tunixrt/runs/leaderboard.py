"""Runs as the rows of a leaderboard: what each was made from, what came out, what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.runs.directories import read_runs
from tunixrt.runs.manifests import (
    EvaluationManifest,
    EvaluationResults,
    Manifest,
    TrainingManifest,
    TrainingResults,
)
from tunixrt.runs.promotions import read_promotions
from tunixrt.traces.violations import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.promotions import Promotions

Kind = Literal["training", "evaluation"]


class RunRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run.

    Attributes:
        run_id: 64 hex digits.
        kind: ``training`` or ``evaluation``.
        names: what it was promoted to.
        what: what it was made from, in words.
        result: what came out, in words.
        weights_sha256: the weights that it made or evaluated.
        metrics: the figures of its manifest.
        dataset_key: what the model was trained on; None for an untrained or foreign model.
        evalset: the eval set of an evaluation.
        judge: its judge, name and version.
        score: its average score, 0 to 100.
        interval: the 95% interval of the score.
        n_contaminated: samples in the training data; None where that is not known.
        model: the training run that an evaluation evaluated.
        draws: how its responses were sampled, in words; None for greedy ones.
    """

    run_id: str
    kind: Kind
    names: list[str]
    what: str
    result: str
    weights_sha256: Digest
    metrics: TrainingResults | EvaluationResults
    dataset_key: str | None = None
    evalset: str | None = None
    judge: str | None = None
    score: float | None = None
    interval: tuple[float, float] | None = None
    n_contaminated: int | None = None
    model: str | None = None
    draws: str | None = None


class NoSuchFilterError(BadInputError):
    """A filter that no run passes because nothing has that name."""


def leaderboard(
    layout: Layout,
    log: EventLog,
    *,
    kind: str | None = None,
    evalset: str | None = None,
    dataset: str | None = None,
) -> list[RunRow]:
    """The runs: evaluations by eval set, the best first, then training runs, the lowest loss first.

    Args:
        layout: where the runs are.
        log: where their names are recorded.
        kind: only ``training`` or ``evaluation`` runs.
        evalset: only evaluations on this eval set.
        dataset: only runs of models that were trained on this dataset.

    Raises:
        NoSuchFilterError: no run has that eval set or dataset.
    """
    rows = rows_of(read_runs(layout), read_promotions(log))
    _require(evalset, {row.evalset for row in rows}, "evaluation of the eval set")
    _require(dataset, {row.dataset_key for row in rows}, "run of the dataset")
    return [
        row
        for row in rows
        if kind in (None, row.kind)
        and evalset in (None, row.evalset)
        and dataset in (None, row.dataset_key)
    ]


def rows_of(manifests: Sequence[Manifest], promotions: Promotions) -> list[RunRow]:
    """The rows of these runs, in the order of the leaderboard."""
    trained = {m.run_id: m for m in manifests if isinstance(m, TrainingManifest)}
    rows = []
    for manifest in manifests:
        names = promotions.names_of(manifest.run_id)
        if isinstance(manifest, TrainingManifest):
            rows.append(_training(manifest, names))
        else:
            rows.append(_evaluation(manifest, names, trained.get(manifest.model.run_id or "")))
    return sorted(rows, key=_place)


def run_row(layout: Layout, log: EventLog, manifest: Manifest) -> RunRow:
    """The row of one run."""
    rows = rows_of(read_runs(layout), read_promotions(log))
    return next(row for row in rows if row.run_id == manifest.run_id)


def model_name(manifest: TrainingManifest) -> str:
    """The preset or directory that a training run's configuration names."""
    model = manifest.config.get("model")
    return str(model.get("name", "model")) if isinstance(model, dict) else "model"


def _place(row: RunRow) -> tuple[bool, str, float, str]:
    if row.score is not None:
        return False, row.evalset or "", -row.score, row.run_id
    loss = row.metrics.last_loss if isinstance(row.metrics, TrainingResults) else 0.0
    return True, "", loss, row.run_id


def _training(manifest: TrainingManifest, names: list[str]) -> RunRow:
    results = manifest.results
    return RunRow(
        run_id=manifest.run_id,
        kind="training",
        names=names,
        what=f"{model_name(manifest)} on {manifest.dataset.key}",
        result=f"loss {results.first_loss:.4f} to {results.last_loss:.4f}",
        weights_sha256=manifest.weights,
        metrics=results,
        dataset_key=manifest.dataset.key,
    )


def _evaluation(
    manifest: EvaluationManifest, names: list[str], trained: TrainingManifest | None
) -> RunRow:
    results, judge = manifest.results, manifest.identity.judge
    draws = manifest.identity.generation.draws
    low, high = results.interval
    contamination = manifest.contamination
    return RunRow(
        run_id=manifest.run_id,
        kind="evaluation",
        names=names,
        what=f"{_of(manifest, trained)} on {manifest.evalset.name}",
        result=f"score {results.avg_score:.1f} ({low:.1f} to {high:.1f}){_drawn(results)}",
        weights_sha256=manifest.weights,
        metrics=results,
        dataset_key=trained.dataset.key if trained is not None else None,
        evalset=manifest.evalset.name,
        judge=f"{judge.name} {judge.version}",
        score=results.avg_score,
        interval=results.interval,
        n_contaminated=contamination.n_contaminated if contamination is not None else None,
        model=manifest.model.run_id,
        draws=None if draws is None else f"{draws}",
    )


def _drawn(results: EvaluationResults) -> str:
    """What several responses a sample add to the score, in words."""
    draws = results.draws
    if draws is None or draws.n_draws == 1:
        return ""
    best = draws.pass_at[f"{draws.n_draws}"].score
    return f", pass@{draws.n_draws} {best:.1f}, majority {draws.majority.score:.1f}"


def _of(manifest: EvaluationManifest, trained: TrainingManifest | None) -> str:
    """What was evaluated, in words."""
    if trained is not None:
        return f"{trained.run_id[:12]} ({model_name(trained)} on {trained.dataset.key})"
    if manifest.model.run_id is not None:
        return manifest.model.run_id[:12]
    if manifest.model.untrained is not None:
        return "untrained"
    return f"weights {manifest.weights.removeprefix('sha256:')[:12]}"


def _require(wanted: str | None, known: Iterable[str | None], what: str) -> None:
    names = sorted(name for name in known if name is not None)
    if wanted is not None and wanted not in names:
        hint = did_you_mean(wanted, names) if names else "There is none at all yet."
        raise NoSuchFilterError(f"There is no {what} {quoted(wanted)} here. {hint}")
