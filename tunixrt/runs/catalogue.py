"""Looks up what digests are called in this store; read once per command, for output to people.

Manifests refer by digest. Keys, names and paths change with the store, so they are looked up.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

from tunixrt.datasets.building import datasets_of_key
from tunixrt.datasets.files import directories
from tunixrt.datasets.names import BadNameError
from tunixrt.log.digests import hex_of
from tunixrt.log.findings import DamagedError, entries
from tunixrt.log.stored import is_plain_file
from tunixrt.runs.directories import read_runs
from tunixrt.runs.manifests import (
    ContaminationManifest,
    EvaluationManifest,
    ResponsesManifest,
    TrainingManifest,
)
from tunixrt.traces.importers.lines import digest_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.digests import Digest
    from tunixrt.log.layout import Layout
    from tunixrt.runs.identity import ResponsesIdentity
    from tunixrt.runs.manifests import Manifest


class Catalogue:
    """The datasets, eval sets and runs of a store by digest."""

    def __init__(self, layout: Layout) -> None:
        """Remember the layout; each part is read on first use."""
        self.layout = layout

    @cached_property
    def runs(self) -> list[Manifest]:
        """The manifest of every run, by run id."""
        return read_runs(self.layout)

    @cached_property
    def datasets(self) -> list[Dataset]:
        """Every dataset whose manifest can be read, by key and directory."""
        return list(_datasets(self.layout))

    @property
    def trainings(self) -> list[TrainingManifest]:
        """The training runs."""
        return [run for run in self.runs if isinstance(run, TrainingManifest)]

    @property
    def responses(self) -> list[ResponsesManifest]:
        """The responses."""
        return [run for run in self.runs if isinstance(run, ResponsesManifest)]

    @property
    def evaluations(self) -> list[EvaluationManifest]:
        """The evaluations."""
        return [run for run in self.runs if isinstance(run, EvaluationManifest)]

    @property
    def contaminations(self) -> list[ContaminationManifest]:
        """The contamination checks."""
        return [run for run in self.runs if isinstance(run, ContaminationManifest)]

    def training_of(self, weights: Digest) -> TrainingManifest | None:
        """Return the training run that made these weights, the first by id of several."""
        return self._by_weights.get(weights)

    def evaluated(self, responses: ResponsesIdentity) -> TrainingManifest | None:
        """Return the training run whose model answered; None for initial and other weights."""
        return None if responses.untrained else self.training_of(responses.model.weights)

    def lineage(self, trained: TrainingManifest) -> tuple[list[TrainingManifest], bool]:
        """Return a training and those it started from, and whether these are all of its bases."""
        chain = [trained]
        while (base := chain[-1].identity.base) is not None:
            run = self.training_of(base.weights)
            if run is None:
                return chain, False
            if run in chain:
                break
            chain.append(run)
        return chain, True

    def contamination_of(self, evaluation: EvaluationManifest) -> ContaminationManifest | None:
        """Return the recorded check of an eval set against all texts of the evaluated model."""
        trained = self.evaluated(evaluation.responses)
        if trained is None:
            return None
        lineage, complete = self.lineage(trained)
        texts = sorted({run.identity.text for run in lineage})
        found = (
            check
            for check in self.contaminations
            if (check.identity.evalset, check.identity.texts, check.identity.complete)
            == (evaluation.evalset, texts, complete)
        )
        # The newest rules, if several are recorded.
        return max(found, key=lambda check: check.identity.method, default=None)

    def text_names(self, texts: Iterable[Digest]) -> list[str]:
        """Return the names of texts, ``KEY/SPLIT`` each, sorted."""
        names = {
            f"{self.dataset_name(run.identity.dataset)}/{run.split}"
            for run in self.trainings
            if run.identity.text in set(texts)
        }
        return sorted(names)

    def dataset(self, digest: Digest) -> Dataset | None:
        """Return a dataset by its digest, the first by key of several with the same members."""
        return self._datasets.get(digest)

    def dataset_name(self, digest: Digest) -> str:
        """Return the key of a dataset, or a prefix of its digest if it is not in the store."""
        dataset = self.dataset(digest)
        return hex_of(digest)[:12] if dataset is None else dataset.key

    def evalset(self, digest: Digest) -> Path | None:
        """Return the file of an eval set by its digest, the first by name of several."""
        return self._evalsets.get(digest)

    def evalset_name(self, digest: Digest) -> str:
        """Return the name of an eval set, or a prefix of its digest if it is not in the store."""
        path = self.evalset(digest)
        return hex_of(digest)[:12] if path is None else path.stem

    @cached_property
    def _by_weights(self) -> dict[Digest, TrainingManifest]:
        return {run.weights: run for run in reversed(self.trainings)}

    @cached_property
    def _datasets(self) -> dict[Digest, Dataset]:
        return {dataset.digest: dataset for dataset in reversed(self.datasets)}

    @cached_property
    def _evalsets(self) -> dict[Digest, Path]:
        found: dict[Digest, Path] = {}
        # `verify` reports what cannot be read, and why.
        with contextlib.suppress(DamagedError):
            for entry in reversed(entries(self.layout.evalsets, self.layout.root)):
                path = self.layout.evalsets / entry.name
                if path.suffix == ".jsonl" and is_plain_file(path):
                    with contextlib.suppress(OSError):
                        found[digest_text(path)] = path
        return found


def _datasets(layout: Layout) -> Iterator[Dataset]:
    """Yield the datasets whose manifests can be read: a damaged one does not hide the others."""
    for name in _directories(layout, layout.datasets):
        for version in _directories(layout, name):
            with contextlib.suppress(DamagedError, BadNameError):
                yield from datasets_of_key(layout, f"{name.name}-{version.name}")


def _directories(layout: Layout, path: Path) -> list[Path]:
    try:
        return directories(path, layout.root)
    except DamagedError:
        return []
