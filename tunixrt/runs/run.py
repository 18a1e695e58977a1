"""A run is a directory that knows its files: their names stand here and nowhere else."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.log.sums import ENVIRONMENTS, MANIFEST
from tunixrt.runs.lines import (
    LedgerLine,
    MetricsLine,
    Overlap,
    Prediction,
    Response,
    read_struct_lines,
)
from tunixrt.runs.manifests import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Manifest

MODEL_DIRECTORY: Final = "model"
WEIGHTS_NAME: Final = "model.safetensors"
METRICS_NAME: Final = "metrics.jsonl"
LEDGER_NAME: Final = "ledger.jsonl"
RESPONSES_NAME: Final = "responses.jsonl"
PREDICTIONS_NAME: Final = "predictions.jsonl"
OVERLAPS_NAME: Final = "contamination.jsonl"


class Run:
    """One run on disk. Which files it has depends on its kind.

    Attributes:
        directory: ``runs/<run id>/``, or where it is staged.
    """

    def __init__(self, directory: Path) -> None:
        """Wrap a directory; nothing is read."""
        self.directory = directory

    @classmethod
    def of(cls, layout: Layout, run_id: str) -> Run:
        """The run with this id, whether it is here or not."""
        return cls(layout.runs / run_id)

    @property
    def id(self) -> str:
        """The 64 hex digits that name it."""
        return self.directory.name

    @property
    def is_published(self) -> bool:
        """Whether it is here."""
        return (self.directory / MANIFEST).is_file()

    @cached_property
    def manifest(self) -> Manifest:
        """Its manifest.

        Raises:
            ManifestError: it cannot be read.
        """
        return read_manifest(self.directory / MANIFEST)

    @property
    def model(self) -> Path:
        """The model directory of a training run, in Hugging Face's layout."""
        return self.directory / MODEL_DIRECTORY

    @property
    def weights(self) -> Path:
        """The weights of a training run."""
        return self.model / WEIGHTS_NAME

    def metrics(self) -> Iterator[MetricsLine]:
        """The steps of a training run, in order."""
        path = self.directory / METRICS_NAME
        return (line for _, line in read_struct_lines(path, MetricsLine, "a training step"))

    def ledger(self) -> Iterator[LedgerLine]:
        """What became of every example of a training run, in the dataset's order."""
        path = self.directory / LEDGER_NAME
        return (line for _, line in read_struct_lines(path, LedgerLine, "of a ledger"))

    def responses(self) -> Iterator[Response]:
        """The responses, in the order of the eval set."""
        path = self.directory / RESPONSES_NAME
        return (line for _, line in read_struct_lines(path, Response, "a response"))

    def predictions(self) -> Iterator[Prediction]:
        """The judged responses of an evaluation, in the order of the eval set."""
        path = self.directory / PREDICTIONS_NAME
        return (line for _, line in read_struct_lines(path, Prediction, "a prediction"))

    def overlaps(self) -> Iterator[Overlap]:
        """The samples that a contamination check found, in the order of the eval set."""
        path = self.directory / OVERLAPS_NAME
        return (line for _, line in read_struct_lines(path, Overlap, "an overlap"))

    def environments(self) -> list[dict[str, object]]:
        """The executions that were recorded, in the order of their digests."""
        return [
            msgspec.json.decode(path.read_bytes(), type=dict[str, object])
            for path in sorted((self.directory / ENVIRONMENTS).glob("*.json"))
        ]
