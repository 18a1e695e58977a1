"""Runs as the rows of a leaderboard: inputs, results and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest, hex_of
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.manifests import (
    ContaminationManifest,
    ContaminationResults,
    EvaluationManifest,
    EvaluationResults,
    Manifest,
    ResponsesManifest,
    TrainingManifest,
    TrainingResults,
)
from tunixrt.runs.promotions import read_promotions
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.identity import ResponsesIdentity
    from tunixrt.runs.promotions import Promotions

Kind = Literal["training", "evaluation", "responses", "contamination"]


class RunRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run.

    Attributes:
        run_id: 64 hex digits.
        kind: ``training``, ``evaluation``, ``responses`` or ``contamination``.
        names: the names it was promoted to.
        what: its inputs, in words.
        result: its result, in words.
        weights_sha256: the weights that it made or evaluated; None for a contamination check.
        metrics: the figures of its manifest; None for responses.
        dataset_key: the dataset that the model was trained on; None for an untrained or other
        model.
        evalset: the eval set of an evaluation.
        judge: its judge, name and version.
        score: its average score, 0 to 100.
        interval: the 95% interval of the score.
        n_contaminated: samples in the training data; None if that is not known.
        model: the training run that an evaluation evaluated.
        draws: how its responses were sampled, in words; None for greedy ones.
    """

    run_id: str
    kind: Kind
    names: list[str]
    what: str
    result: str
    weights_sha256: Digest | None
    metrics: TrainingResults | EvaluationResults | ContaminationResults | None
    dataset_key: str | None = None
    evalset: str | None = None
    judge: str | None = None
    score: float | None = None
    interval: tuple[float, float] | None = None
    n_contaminated: int | None = None
    model: str | None = None
    draws: str | None = None


class NoSuchFilterError(BadInputError):
    """A filter by a name that does not exist."""


def leaderboard(
    layout: Layout,
    log: EventLog,
    *,
    kind: str | None = None,
    evalset: str | None = None,
    dataset: str | None = None,
) -> list[RunRow]:
    """Return the runs: evaluations by eval set and score, then training runs by loss.

    Args:
        layout: where the runs are.
        log: where their names are recorded.
        kind: only runs of this kind; without one, training runs and evaluations.
        evalset: only evaluations on this eval set.
        dataset: only runs of models that were trained on this dataset.

    Raises:
        NoSuchFilterError: no run has that eval set or dataset.
    """
    rows = rows_of(Catalogue(layout), read_promotions(log))
    if kind is None:
        rows = [row for row in rows if row.kind in ("training", "evaluation")]
    _require(evalset, {row.evalset for row in rows}, "evaluation of the eval set")
    _require(dataset, {row.dataset_key for row in rows}, "run of the dataset")
    return [
        row
        for row in rows
        if kind in (None, row.kind)
        and evalset in (None, row.evalset)
        and dataset in (None, row.dataset_key)
    ]


def rows_of(catalogue: Catalogue, promotions: Promotions) -> list[RunRow]:
    """Return the rows of all runs, in the order of the leaderboard."""
    rows = [
        _row(catalogue, manifest, promotions.names_of(manifest.run_id))
        for manifest in catalogue.runs
    ]
    return sorted(rows, key=_place)


def run_row(layout: Layout, log: EventLog, manifest: Manifest) -> RunRow:
    """Return the row of one run."""
    names = read_promotions(log).names_of(manifest.run_id)
    return _row(Catalogue(layout), manifest, names)


def _row(catalogue: Catalogue, manifest: Manifest, names: list[str]) -> RunRow:
    match manifest:
        case TrainingManifest():
            return _training(catalogue, manifest, names)
        case EvaluationManifest():
            return _evaluation(catalogue, manifest, names)
        case ResponsesManifest():
            evalset = catalogue.evalset_name(manifest.identity.evalset)
            return RunRow(
                run_id=manifest.run_id,
                kind="responses",
                names=names,
                what=f"{_of(catalogue, manifest.identity)} on {evalset}",
                result=f"{manifest.n_responses:,} responses of {manifest.n_tokens:,} tokens",
                weights_sha256=manifest.weights,
                metrics=None,
                evalset=evalset,
            )
        case ContaminationManifest():
            evalset = catalogue.evalset_name(manifest.identity.evalset)
            results = manifest.results
            texts = ", ".join(catalogue.text_names(manifest.identity.texts))
            return RunRow(
                run_id=manifest.run_id,
                kind="contamination",
                names=names,
                what=f"{evalset} in {texts}",
                result=f"{results.n_contaminated:,} of {results.n_samples:,} samples",
                weights_sha256=None,
                metrics=results,
                evalset=evalset,
                n_contaminated=results.n_contaminated,
            )


def model_name(manifest: TrainingManifest) -> str:
    """Return the preset or directory that a training run's configuration names."""
    model = manifest.config.get("model")
    return str(model.get("name", "model")) if isinstance(model, dict) else "model"


def _place(row: RunRow) -> tuple[bool, str, float, str]:
    if row.score is not None:
        return False, row.evalset or "", -row.score, row.run_id
    loss = row.metrics.last_loss if isinstance(row.metrics, TrainingResults) else 0.0
    return True, "", loss, row.run_id


def _training(catalogue: Catalogue, manifest: TrainingManifest, names: list[str]) -> RunRow:
    results = manifest.results
    key = catalogue.dataset_name(manifest.identity.dataset)
    return RunRow(
        run_id=manifest.run_id,
        kind="training",
        names=names,
        what=f"{model_name(manifest)} on {key}",
        result=f"loss {results.first_loss:.4f} to {results.last_loss:.4f}",
        weights_sha256=manifest.weights,
        metrics=results,
        dataset_key=key,
    )


def _evaluation(catalogue: Catalogue, manifest: EvaluationManifest, names: list[str]) -> RunRow:
    results, judge = manifest.results, manifest.identity.judge
    draws = manifest.responses.generation.draws
    low, high = results.interval
    contamination = catalogue.contamination_of(manifest)
    trained = catalogue.evaluated(manifest.responses)
    evalset = catalogue.evalset_name(manifest.evalset)
    return RunRow(
        run_id=manifest.run_id,
        kind="evaluation",
        names=names,
        what=f"{_of(catalogue, manifest.responses)} on {evalset}",
        result=f"score {results.avg_score:.1f} ({low:.1f} to {high:.1f})"
        f"{_drawn(results)}{_overlong(results)}",
        weights_sha256=manifest.weights,
        metrics=results,
        dataset_key=None if trained is None else catalogue.dataset_name(trained.identity.dataset),
        evalset=evalset,
        judge=f"{judge}",
        score=results.avg_score,
        interval=results.interval,
        n_contaminated=None if contamination is None else contamination.results.n_contaminated,
        model=None if trained is None else trained.run_id,
        draws=None if draws is None else f"{draws}",
    )


def _drawn(results: EvaluationResults) -> str:
    """Return what several responses per sample add to the score, in words."""
    draws = results.draws
    if draws is None or draws.n_draws == 1:
        return ""
    best = draws.pass_at[f"{draws.n_draws}"].score
    return f", pass@{draws.n_draws} {best:.1f}, majority {draws.majority.score:.1f}"


def _overlong(results: EvaluationResults) -> str:
    """Return what was done with prompts that left no room for an answer, in words."""
    found = results.overlong
    if found is None:
        return ""
    done = "left out" if found.treatment == "omit" else "counted as wrong"
    return f", {len(found.n_tokens):,} overlong {done}"


def _of(catalogue: Catalogue, responses: ResponsesIdentity) -> str:
    """Return what was evaluated, in words."""
    trained = catalogue.evaluated(responses)
    if trained is not None:
        key = catalogue.dataset_name(trained.identity.dataset)
        return f"{trained.run_id[:12]} ({model_name(trained)} on {key})"
    if responses.untrained is not None:
        return "untrained"
    return f"weights {hex_of(responses.model.weights)[:12]}"


def _require(wanted: str | None, known: Iterable[str | None], what: str) -> None:
    names = sorted(name for name in known if name is not None)
    if wanted is not None and wanted not in names:
        hint = did_you_mean(wanted, names) if names else "The store has none yet."
        raise NoSuchFilterError(f"There is no {what} {quoted(wanted)} here. {hint}")
