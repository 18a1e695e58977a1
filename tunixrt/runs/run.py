"""A run: a directory that knows its files; their names are defined only here."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from tunixrt.derive import is_published
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode_stored
from tunixrt.log.findings import DamagedError, entries, place
from tunixrt.log.stored import read_stored
from tunixrt.log.sums import ENVIRONMENTS, MANIFEST
from tunixrt.runs.lines import (
    LedgerLine,
    MetricsLine,
    Overlap,
    Prediction,
    Response,
    read_struct_lines,
)
from tunixrt.runs.manifests import kind_of, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

L = TypeVar("L", bound=msgspec.Struct)


class Run:
    """One run on disk; its files depend on its kind.

    Attributes:
        directory: ``runs/<run id>/``, or where it is staged.
    """

    def __init__(self, directory: Path) -> None:
        """Wrap a directory; nothing is read."""
        self.directory = directory

    @classmethod
    def of(cls, layout: Layout, run_id: str) -> Run:
        """Return the run with this id, whether it exists or not."""
        return cls(layout.runs / run_id)

    def __repr__(self) -> str:
        try:
            kind = kind_of(self.manifest)
        except (BadInputError, OSError):
            kind = "its manifest cannot be read"
        return f"<run {self.id[:12]} ({kind})>"

    @property
    def id(self) -> str:
        """The 64 hex digits that name it."""
        return self.directory.name

    @property
    def is_published(self) -> bool:
        """Whether it exists; its files may be damaged."""
        return is_published(self.directory)

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
        """Yield the steps of a training run, in order."""
        return self._lines(METRICS_NAME, MetricsLine, "a training step")

    def ledger(self) -> Iterator[LedgerLine]:
        """Yield the outcome for every example of a training run, in the dataset's order."""
        return self._lines(LEDGER_NAME, LedgerLine, "of a ledger")

    def responses(self) -> Iterator[Response]:
        """Yield the responses, in the order of the eval set."""
        return self._lines(RESPONSES_NAME, Response, "a response")

    def predictions(self) -> Iterator[Prediction]:
        """Yield the judged responses of an evaluation, in the order of the eval set."""
        return self._lines(PREDICTIONS_NAME, Prediction, "a prediction")

    def overlaps(self) -> Iterator[Overlap]:
        """Yield the samples that a contamination check found, in the order of the eval set."""
        return self._lines(OVERLAPS_NAME, Overlap, "an overlap")

    def environments(
        self, *, on_unreadable: Callable[[str], None] | None = None
    ) -> list[dict[str, object]]:
        """Return the recorded executions, in the order of their digests.

        They are not hashed, so any field may be missing, and a file that does not hold a JSON
        object is left out.

        Args:
            on_unreadable: receives a sentence for each entry that is left out.
        """
        directory, root = self.directory / ENVIRONMENTS, self.directory.parent.parent
        read: list[dict[str, object]] = []
        problems: list[str] = []
        try:
            paths = [directory / entry.name for entry in entries(directory, root)]
        except DamagedError as error:
            paths, problems = [], [str(error.finding)]
        for path in paths:
            try:
                read.append(_environment(path))
            except (OSError, CanonicalError, msgspec.ValidationError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                problems.append(f"{place(path, root)} cannot be read ({reason}).")
        if on_unreadable is not None:
            for problem in problems:
                on_unreadable(f"{problem} No result depends on it; `git checkout` brings it back.")
        return read

    def _lines(self, name: str, line_type: type[L], what: str) -> Iterator[L]:
        lines = read_struct_lines(self.directory / name, line_type, what)
        return (line for _, line in lines)


def _environment(path: Path) -> dict[str, object]:
    return msgspec.convert(decode_stored(read_stored(path)), dict[str, object])
