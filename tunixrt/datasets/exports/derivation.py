"""The export as a derivation: a dataset, the settings of its rows, and a container."""

from __future__ import annotations

from collections import deque
from collections.abc import Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Final, TypeVar

import msgspec

from tunixrt.datasets.exports.columns import Columns, columns_of
from tunixrt.datasets.exports.containers import Container, written
from tunixrt.datasets.exports.formats import (
    ExportedFile,
    ExportError,
    ExportFormat,
    ExportReport,
    RowSettings,
)
from tunixrt.datasets.exports.lines import ExportLines, members_of
from tunixrt.datasets.exports.second_maker import SecondMaker, Task, is_worth_it
from tunixrt.datasets.render import TEMPLATE_VERSION
from tunixrt.derive import Derivation
from tunixrt.log.digests import Digest, digest_bytes, of_hex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tunixrt.datasets.exports.containers import Writer
    from tunixrt.datasets.exports.making import QuickRow
    from tunixrt.datasets.files import Dataset
    from tunixrt.derive import Watch
    from tunixrt.log.eventlog import EventLog

B = TypeVar("B", bound=Sized)

EXPORT_FORMAT: Final = "tunixrt-export-1"

#: Batches that are made and not yet written.
_WAITING: Final = 4

#: Times of recording, or labels, are in the rows of these: they follow from the snapshot.
_OF_A_SNAPSHOT: Final = (ExportFormat.TRACE, ExportFormat.TUNIX_SFT, ExportFormat.STEPWISE)
#: Members are omitted from these for what they hold, so their rows must be counted.
_UNCOUNTED: Final = (ExportFormat.STEPWISE, ExportFormat.PROMPT_COMPLETION)


class ExportIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="export"
):
    """What decides the bytes of an export.

    Attributes:
        dataset: its digest.
        snapshot: of the dataset, where a row holds what its digest does not cover.
        redacted: the members of the split that are redacted, in ascending order.
        rows: the settings of the rows.
        template: the version of the text of prompts and responses.
        container: what the lines are put into.
        writer: the library that decides the bytes of the container; None for JSON Lines.
        n_shards: how many files there are.
    """

    dataset: Digest
    snapshot: Digest | None
    redacted: tuple[str, ...]
    rows: RowSettings
    template: str
    container: Container
    writer: str | None
    n_shards: int


class ExportManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of an export, and what was counted."""

    format: str
    identity: ExportIdentity
    report: ExportReport


class ExportDerivation(Derivation[ExportManifest]):
    """The rows of a split in a container."""

    kind: ClassVar = "export"
    records: ClassVar = {"*.jsonl": ("row", ("id",))}

    def __init__(
        self,
        log: EventLog,
        dataset: Dataset,
        rows: RowSettings,
        container: Container = Container.JSONL,
        n_shards: int = 1,
    ) -> None:
        """Bind the settings to what they are applied to.

        Raises:
            ExportError: there are less than one shard.
            MissingExtraError: the library for the container is not installed.
        """
        if n_shards < 1:
            raise ExportError(f"An export has at least 1 shard; found {n_shards}.")
        container.check_installed()
        self._log = log
        self._dataset = dataset
        self._rows = rows
        self._container = container
        self._n_shards = n_shards

    @property
    def identity(self) -> ExportIdentity:
        """The dataset, what is redacted of it, and every setting."""
        return self._identity

    @property
    def name(self) -> str:
        """The key of the dataset and the format."""
        return f"{self._dataset.key} as {self._rows.format}"

    def make(self, directory: Path, watch: Watch, work: Path | None) -> ExportManifest:  # noqa: ARG002
        """Write ``data.jsonl`` (or another container, or its shards), and return the manifest.

        Raises:
            ExportError: nothing can be written with these settings.
        """
        names = shard_names(f"data.{self._container}", self._n_shards)
        files = [(directory / name).open("wb") for name in names]
        try:
            report = self.write(names, files)
        finally:
            for file in files:
                file.close()
        return ExportManifest(EXPORT_FORMAT, self.identity, report)

    def lines(self) -> ExportLines:
        """Return the lines; the caller closes them."""
        return ExportLines(self._log, self._dataset, self._rows)

    def write(self, names: Sequence[str], files: Sequence[BinaryIO]) -> ExportReport:
        """Write the shards into open files.

        Args:
            names: of the files, for the report.
            files: as many as there are shards.

        Raises:
            ExportError: no member has a row, or there are more shards than rows.
            DamagedError: a file of the store does not match its digest.
        """
        with ExitStack() as stack:
            second = self._second(stack)  # it starts while the log is read
            lines = stack.enter_context(self.lines())
            sizes = self._sizes(lines)
            columns = Columns(columns_of(self._rows, lines.held))
            rest = _Rest(lines.rows(self._container.n_at_once))
            written_files = []
            for name, file, size in zip(names, files, sizes, strict=True):
                with written(self._container, file, columns) as (writer, tally):
                    if second is None:
                        n_rows = _write_beside(writer.write, rest.take(size))
                    else:
                        n_rows = self._write_made(second, lines, writer)
                written_files.append(
                    ExportedFile(name, of_hex(tally.sha256.hexdigest()), tally.size, n_rows)
                )
            if not lines.counts.rows and lines.counts.omitted:
                self._check_not_empty(lines)
            (first, *others) = written_files
            whole = digest_bytes(sums_of(written_files)) if others else first.sha256
            report = lines.counts.report(self._rows, whole.removeprefix("sha256:"))
            return msgspec.structs.replace(report, files=written_files)

    def _second(self, stack: ExitStack) -> SecondMaker | None:
        """Start a second process that makes the rows; None if it is not worth it."""
        n_members = members_of(self._dataset, self._rows.split)
        if self._n_shards > 1 or self._rows.format is ExportFormat.STEPWISE:
            return None
        if not is_worth_it(n_members):
            return None
        try:
            return stack.enter_context(SecondMaker())
        except OSError:
            return None  # this process makes the rows

    def _write_made(self, second: SecondMaker, lines: ExportLines, writer: Writer) -> int:
        """Write the rows that a second process makes; return their number."""
        lines.start()
        task = Task(self._rows, lines.held, self._container)

        def formed() -> Iterator[bytes]:
            for made in second.made(task, lines.questions(self._container.n_at_once)):
                lines.counts.add(made.counts)
                if made.formed:
                    yield made.formed

        _write_beside(writer.put, formed())
        return lines.counts.rows

    @cached_property
    def _identity(self) -> ExportIdentity:
        manifest = self._dataset.manifest
        with self.lines() as lines:
            redacted = tuple(lines.redacted())
        return ExportIdentity(
            dataset=manifest.digest,
            snapshot=manifest.snapshot if self._rows.format in _OF_A_SNAPSHOT else None,
            redacted=redacted,
            rows=self._rows,
            template=TEMPLATE_VERSION,
            container=self._container,
            writer=self._container.writer(),
            n_shards=self._n_shards,
        )

    def _sizes(self, lines: ExportLines) -> list[int | None]:
        """Return the rows of each shard, equal but for one; the last one takes what is left."""
        n = self._n_shards
        if n == 1:
            return [None]
        if self._rows.format in _UNCOUNTED:
            n_rows = sum(map(len, lines.rows()))
        else:
            n_rows = lines.n_members - len(lines.redacted())
        if n_rows < n:
            raise ExportError(
                f"{n_rows:,} rows cannot fill {n:,} shards: ask for at most as many shards as "
                "there are rows."
            )
        return [n_rows // n + (k < n_rows % n) for k in range(n - 1)] + [None]

    def _check_not_empty(self, lines: ExportLines) -> None:
        if self._rows.format is ExportFormat.STEPWISE:
            raise ExportError(
                f"No trace of {self._dataset.key} had a label on a step when the dataset was "
                "built. Label steps by their index, `tunixrt trace label ID step.0=right "
                "step.1=wrong`, and build another version of the dataset."
            )
        if lines.counts.omitted.get("no turn is learned"):
            raise ExportError(f"No trace of {self._dataset.key} has a turn that is learned.")


def shard_names(name: str, n_shards: int) -> list[str]:
    """Return the names of the files of an export: the name, or one for each shard.

    ``train.jsonl.gz`` in two shards is ``train-00000-of-00002.jsonl.gz`` and so on.
    """
    if n_shards == 1:
        return [name]
    stem, dot, extension = name.partition(".")
    return [f"{stem}-{k:05d}-of-{n_shards:05d}{dot}{extension}" for k in range(n_shards)]


def sums_of(files: Sequence[ExportedFile]) -> bytes:
    """Return the lines that ``sha256sum -c`` reads."""
    return "".join(f"{f.sha256.removeprefix('sha256:')}  {f.name}\n" for f in files).encode()


def _write_beside(write: Callable[[B], None], batches: Iterable[B]) -> int:
    """Write batches in a second thread while the next are made; return their length.

    Hashing, compressing and writing release the interpreter, so both threads work at once.
    """
    n, waiting = 0, deque[Future[None]]()
    with ThreadPoolExecutor(1) as pool:
        for batch in batches:
            n += len(batch)
            if len(waiting) == _WAITING:
                waiting.popleft().result()
            waiting.append(pool.submit(write, batch))
        for written_batch in waiting:
            written_batch.result()
    return n


class _Rest:
    """What is left of batches, for one shard after the other."""

    def __init__(self, batches: Iterator[list[QuickRow]]) -> None:
        self._batches = batches
        self._held: list[QuickRow] = []

    def take(self, n: int | None) -> Iterator[list[QuickRow]]:
        """Yield the next lines; all of them if no number is given."""
        while n is None or n > 0:
            batch = self._held or next(self._batches, [])
            self._held = []
            if not batch:
                return
            if n is not None:
                batch, self._held = batch[:n], batch[n:]
                n -= len(batch)
            yield batch
