"""The facade: everything the command line does, for a Python program.

```python
from tunixrt import Store

store = Store.open(".")
store.import_traces("solutions.jsonl", source_format="gsm8k")
store.build_dataset("gsm", "v1", where={"source": "gsm8k"}, splits={"test": "0.1"})
```

Paths are arguments, and so are times: nothing here reads the clock, the environment or the current
directory. Training and evaluation import jax when they are called and not before.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.building import BuildReport, build_dataset, list_datasets, load_dataset
from tunixrt.datasets.exports import ExportReport, export_dataset, parse_export_format
from tunixrt.datasets.files import Dataset, members
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.selection import LABEL_PREFIX, value_of
from tunixrt.derive import QUIET
from tunixrt.errors import BadInputError
from tunixrt.log import layout as layouts
from tunixrt.log.eventlog import EventLog
from tunixrt.store_facts import FactMethods
from tunixrt.store_proofs import ProofMethods
from tunixrt.store_runs import RunMethods
from tunixrt.traces.arithmetic import generate_arithmetic
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importers.table import check_strips, imported, parse_source_format, read_traces
from tunixrt.traces.importing import ImportReport, OnError, import_files, import_traces
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.saved_index import find_saved, find_with_meta
from tunixrt.traces.schema import Trace, parse_payload
from tunixrt.traces.state import Projection, TraceState, project
from tunixrt.traces.violations import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from tunixrt.datasets.selection import Member
    from tunixrt.derive import Verdict, Watch
    from tunixrt.jobs.status import Status
    from tunixrt.jobs.verify import Verification
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.importers.table import Record, Rejection


class TraceGoneError(BadInputError):
    """The payload of a trace is not there: it was redacted, or never recorded here."""


class Store(FactMethods, RunMethods, ProofMethods):
    """One store on disk."""

    def __init__(self, layout: layouts.Layout) -> None:
        """Wrap a layout; use :meth:`init` or :meth:`open`."""
        self.layout = layout
        self.log = EventLog(layout)

    @classmethod
    def init(cls, directory: Path | str) -> Store:
        """Make a store in ``directory``; what is there already stays as it is."""
        return cls(layouts.init(Path(directory)))

    @classmethod
    def open(cls, start: Path | str) -> Store:
        """Open the store at or above ``start``.

        Raises:
            NoStoreError: there is none.
        """
        return cls(layouts.find(Path(start)))

    @property
    def root(self) -> Path:
        """The directory that holds ``store/``, ``runs/`` and ``evalsets/``."""
        return self.layout.root

    # Traces

    def import_traces(
        self,
        files: Path | str | OpenText | Sequence[Path | str | OpenText],
        *,
        source_format: str,
        source: str | None = None,
        strip_calculator: bool = False,
        on_error: str = OnError.ABORT,
        recorded_at: str | None = None,
        on_rejection: Callable[[Rejection], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> ImportReport:
        """Record every trace of a file, or of several, as one segment: whole or not at all.

        Args:
            files: a file with one record per line, or several; an ``OpenText`` is a stream.
            source_format: ``tunixrt``, ``gsm8k``, ``trace`` for what the export of that name
                wrote, or ``predictions`` for what a model wrote in an evaluation.
            source: sets ``meta.source``.
            strip_calculator: cut GSM8K's ``<<48/2=24>>`` annotations.
            on_error: ``abort`` rejects all files for one bad record; ``quarantine`` sets bad
                records aside and records the rest.
            recorded_at: an RFC 3339 time to put into the events; by default, the one that a
                record of the format ``trace`` has, and none for others.
            on_rejection: called with each record set aside.
            on_progress: called with the number of lines read so far.

        Raises:
            BadInputError: nothing was recorded; the message says file, line and field.
        """
        listed = [files] if isinstance(files, str | Path | OpenText) else files
        sources = [f if isinstance(f, OpenText) else Path(f) for f in listed]
        read = _reader(source_format, source, strip_calculator=strip_calculator)
        count = itertools.count(1)
        return import_files(
            self.log,
            ((str(s), _counted(read(s), on_progress, count)) for s in sources),
            on_error=_on_error(on_error),
            recorded_at=recorded_at,
            on_rejection=on_rejection,
        )

    def generate_arithmetic(
        self,
        *,
        kinds: Sequence[str],
        n_digits: int,
        n: int,
        seed: int,
        recorded_at: str | None = None,
    ) -> ImportReport:
        """Record ``n`` generated arithmetic problems of the training pool, with their steps."""
        problems = generate_arithmetic(kinds=kinds, n_digits=n_digits, n=n, seed=seed)
        traces = (imported(problem.trace()) for problem in problems)
        return import_traces(self.log, traces, recorded_at=recorded_at)

    def traces(self) -> Projection:
        """The state of every trace; close it, or use it in a ``with`` statement."""
        return project(self.log)

    def find_trace(self, prefix: str) -> TraceState:
        """The state of the one trace whose id begins with ``prefix``."""
        return find_saved(self.log, prefix)

    def select_traces(
        self, where: Mapping[str, str], *, everything: bool = False
    ) -> Iterator[tuple[TraceState, Trace | None]]:
        """The traces with these metadata and labels, in the order of the log.

        Args:
            where: what a trace must have; ``label.NAME`` names a label.
            everything: also those that were retracted, superseded or redacted.

        Yields:
            Each trace's state, and its content; None where it is gone.
        """
        # Labels are not in the index of metadata: they are looked at with each trace.
        indexed = {k: v for k, v in where.items() if not k.startswith(LABEL_PREFIX)}
        found = find_with_meta(self.log, indexed) if indexed else None
        with contextlib.ExitStack() as stack:
            if found is None:
                projection = stack.enter_context(self.traces())
                found = projection.traces() if everything else projection.active()
            for state in found:
                if state.active or everything:
                    content = self.read_trace(state) if state.kept and not state.redacted else None
                    if _has(state, content, where):
                        yield state, content

    def read_trace(self, state: TraceState) -> Trace:
        """The content of a trace.

        Raises:
            TraceGoneError: it was redacted, or no event records it here.
        """
        payload = read_payload(self.log, state)
        if payload is None:
            what = "was redacted" if state.redacted else "is not recorded here"
            raise TraceGoneError(f"The trace {state.id} {what}: its text is not in this store.")
        return parse_payload(payload)

    # Datasets

    def build_dataset(
        self,
        name: str,
        version: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int | None = None,
        strategy: str = "latest",
        seed: int | None = None,
        splits: Mapping[str, str] | None = None,
        built_at: str | None = None,
        parent: str | None = None,
        waiting: Waiting | None = None,
    ) -> BuildReport:
        """Select traces into the dataset ``name-version`` and take the snapshot it depends on."""
        recipe = make_recipe(
            filters=where, selection_strategy=strategy, limit=limit, seed=seed, splits=splits
        )
        return build_dataset(
            self.layout,
            self.log,
            name,
            version,
            recipe,
            built_at=built_at,
            parent=parent,
            waiting=waiting,
        )

    def datasets(self) -> list[Dataset]:
        """Every dataset, by key."""
        return list_datasets(self.layout)

    def dataset(self, key: str) -> Dataset:
        """One dataset by its key ``name-version``."""
        return load_dataset(self.layout, key)

    def members(self, key: str) -> Iterator[Member]:
        """The members of a dataset, in its order."""
        return members(self.dataset(key))

    def export_dataset(
        self,
        key: str,
        export_format: str,
        out: BinaryIO,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
    ) -> ExportReport:
        """Write a split of a dataset as text that other tools read; the same bytes every time.

        Args:
            key: the key of the dataset.
            export_format: ``trace``, ``tunix_sft`` or ``training_example``.
            out: receives the bytes.
            split: ``train``, ``validation``, ``test``; or ``all``: then each row names its split.
            system: a system instruction, put before every prompt.

        Raises:
            BadInputError: there is no such dataset or format, or nothing is in the split.
        """
        return export_dataset(
            self.log,
            self.dataset(key),
            parse_export_format(export_format),
            out,
            split=split,
            system=system,
        )

    # Proof

    def status(self) -> Status:
        """What is here, and what needs a decision."""
        from tunixrt.jobs.status import read_status

        return read_status(self.layout, self.log)

    def git_problems(self) -> list[str]:
        """What Git would leave out of the store or change in it, as sentences; empty without Git.

        Such are rules of a ``.gitignore`` that keep the log or weights out of every commit.
        """
        from tunixrt.jobs.git_surroundings import git_problems

        return git_problems(self.layout)

    def verify(self, *, rebuild: bool = False, since: str | None = None) -> Verification:
        """Prove every digest; with ``rebuild`` derive datasets and exports again.

        Args:
            rebuild: derive datasets and exports again, and compare.
            since: a Git revision whose store must still be here, unchanged.

        Raises:
            GitError: there is no such revision here.
        """
        from tunixrt.jobs.verify import verify_store

        return verify_store(self.layout, self.log, rebuild=rebuild, since=since)

    def reproduce(self, run: str | None, *, watch: Watch = QUIET) -> list[Verdict]:
        """Make one run, or every run, again and compare; see :mod:`tunixrt.jobs.reproduce`."""
        from tunixrt.jobs.reproduce import reproduce_runs

        return reproduce_runs(self.layout, self.log, run, watch)


def held_out_evalset(*, kinds: Sequence[str], n_digits: int, n: int, seed: int) -> bytes:
    """An eval set of ``n`` held-out arithmetic problems: JSON lines."""
    problems = generate_arithmetic(kinds=kinds, n_digits=n_digits, n=n, seed=seed, held_out=True)
    lines = (msgspec.json.encode(problem.sample(), order="sorted") for problem in problems)
    return b"".join(line + b"\n" for line in lines)


def _on_error(text: str) -> OnError:
    if text not in list(OnError):
        raise BadInputError(
            f"There is no on_error {text!r}: expected {' or '.join(OnError)}."
            f"{suggestion(text, OnError)}"
        )
    return OnError(text)


def _has(state: TraceState, content: Trace | None, where: Mapping[str, str]) -> bool:
    if content is None:
        return not where
    return all(value_of(state, content, key) == text for key, text in where.items())


def _reader(
    source_format: str, source: str | None, *, strip_calculator: bool
) -> Callable[[TextSource], Iterator[Record]]:
    """What reads a file of this format."""
    from tunixrt.eval.prediction_traces import PREDICTIONS, read_prediction_traces

    check_strips(source_format, strip_calculator=strip_calculator)
    if source_format == PREDICTIONS:
        return functools.partial(read_prediction_traces, source=source)
    return functools.partial(
        read_traces,
        source_format=parse_source_format(source_format, others=(PREDICTIONS,)),
        source=source,
        strip_calculator=strip_calculator,
    )


def _counted(
    records: Iterator[Record], on_progress: Callable[[int], None] | None, count: Iterator[int]
) -> Iterator[Record]:
    if on_progress is None:
        yield from records
        return
    for record, number in zip(records, count, strict=False):
        if number % 1000 == 0:
            on_progress(number)
        yield record
