"""The input of a site: facts on a store, as plain values."""

from __future__ import annotations

import msgspec

from tunixrt.datasets.files import DatasetManifest
from tunixrt.datasets.selection import Member
from tunixrt.eval.compare.pairs import Comparison
from tunixrt.eval.evalsets import EvalSet
from tunixrt.report.sections.view import Command, RunView, TrainingView
from tunixrt.runs.leaderboard import RunRow
from tunixrt.runs.lines import Prediction


class DatasetView(msgspec.Struct, frozen=True):
    """A dataset; ``members`` are its first ones, ``page`` is its file name without extension."""

    page: str
    manifest: DatasetManifest
    members: tuple[Member, ...]


class ComparisonView(msgspec.Struct, frozen=True):
    """Two evaluations compared on a page; ``page`` is its file name without extension."""

    page: str
    before: str
    after: str
    comparison: Comparison


class EvaluationView(msgspec.Struct, frozen=True):
    """An evaluation run with its predictions and the comparisons that include it."""

    row: RunRow
    run: RunView
    predictions: tuple[Prediction, ...]
    comparisons: tuple[ComparisonView, ...]
    commands: tuple[Command, ...]


class TrainingRunView(msgspec.Struct, frozen=True):
    """A training run, and the evaluations of its model."""

    row: RunRow
    training: TrainingView
    evaluations: tuple[RunRow, ...]


class TraceCounts(msgspec.Struct, frozen=True):
    """The number of traces, and how many of them a site shows."""

    n_recorded: int
    n_active: int
    n_shown: int
    n_redacted: int


class SiteView(msgspec.Struct, frozen=True):
    """The store as its overview shows it.

    Attributes:
        title: the name of the site.
        foot: the text of the footer.
        traces: counts.
        datasets: by key.
        evalsets: by name.
        rows: the leaderboard.
        comparisons: every page that compares two evaluations.
        notes: what needs a decision, such as a name that means two datasets.
    """

    title: str
    foot: str
    traces: TraceCounts
    datasets: tuple[DatasetView, ...]
    evalsets: tuple[EvalSet, ...]
    rows: tuple[RunRow, ...]
    comparisons: tuple[ComparisonView, ...]
    notes: tuple[str, ...]
