"""The traces of a store: adding and importing them, reading them, stating facts about them."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tunixrt.datasets.selection import LABEL_PREFIX, value_of
from tunixrt.errors import BadInputError
from tunixrt.store.stored_trace import StoredTrace
from tunixrt.traces import stating as statements
from tunixrt.traces.arithmetic import generate_arithmetic
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importers.table import check_strips, imported, parse_source_format, read_traces
from tunixrt.traces.importing import ImportReport, OnError, import_files, import_traces
from tunixrt.traces.lookup import TraceLookupError
from tunixrt.traces.saved_index import find_saved, find_with_meta
from tunixrt.traces.schema import AnyTrace, Trace, any_trace_of
from tunixrt.traces.state import Projection, project
from tunixrt.traces.stream import MAX_EVENTS, Recovery, TraceStream, recover_streams
from tunixrt.traces.violations import TraceError
from tunixrt.words import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tunixrt.jobs.redact import RedactionDone
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.importers.table import ImportedTrace, Record, Rejection
    from tunixrt.traces.perturbed import PerturbReport
    from tunixrt.traces.scores import Score
    from tunixrt.traces.stating import Stated


class Added(NamedTuple):
    """What became of added traces: their ids in the order given, and the account of the import."""

    ids: tuple[Digest, ...]
    report: ImportReport


class Traces:
    """The traces of a store; ids may be given as unique prefixes of at least 6 hex digits.

    Iterating yields the active traces in the order of the log, `len` counts them, and
    ``traces[prefix]`` is one of any state.
    """

    def __init__(self, layout: Layout, log: EventLog) -> None:
        """The traces of a log."""
        self._layout, self._log = layout, log

    def __repr__(self) -> str:
        return f"<traces of {self._layout.root}>"

    def __iter__(self) -> Iterator[StoredTrace]:
        return self.select({})

    def __len__(self) -> int:
        with self.projection() as projection:
            return projection.n_active

    def __getitem__(self, prefix: str) -> StoredTrace:
        """The one trace whose id begins with ``prefix``.

        Raises:
            TraceLookupError: none or several do, or it is no prefix.
        """
        return StoredTrace(self._log, find_saved(self._log, prefix))

    def __contains__(self, trace: object) -> bool:
        """Whether a prefix names one trace, of any state."""
        try:
            return isinstance(trace, str) and self[trace] is not None
        except TraceLookupError:
            return False

    def projection(self) -> Projection:
        """The state of every trace; close it, or use it in a ``with`` statement."""
        return project(self._log)

    def select(
        self, where: Mapping[str, str], *, everything: bool = False
    ) -> Iterator[StoredTrace]:
        """The traces with these metadata and labels, in the order of the log.

        Args:
            where: what a trace must have; ``label.NAME`` names a label.
            everything: also those that were retracted, superseded or redacted.
        """
        # Labels are not in the index of metadata: they are looked at with each trace.
        indexed = {k: v for k, v in where.items() if not k.startswith(LABEL_PREFIX)}
        found = find_with_meta(self._log, indexed) if indexed else None
        with contextlib.ExitStack() as stack:
            if found is None:
                projection = stack.enter_context(self.projection())
                found = projection.traces() if everything else projection.active()
            for state in found:
                if state.active or everything:
                    trace = StoredTrace(self._log, state)
                    if not where or (trace.is_readable and _has(trace, where)):
                        yield trace

    def add(
        self,
        traces: AnyTrace | Mapping[str, object] | Iterable[AnyTrace | Mapping[str, object]],
        *,
        recorded_at: str | None = None,
    ) -> Added:
        """Record one trace or several, as one segment: all or none.

        Args:
            traces: a trace or a conversation, or the dictionary of one, or any number of them.
            recorded_at: an RFC 3339 time to put into the events.

        Returns:
            Their ids, and how many were recorded, duplicates, or withdrawn before.

        Raises:
            TraceError: one is no trace, and nothing was recorded; the message names the field.
        """
        ids: list[Digest] = []
        if isinstance(traces, Trace | Conversation | Mapping):
            records: Iterable[ImportedTrace] = [_imported(traces)]
        else:
            records = (_numbered(number, trace) for number, trace in enumerate(traces, start=1))

        def noted() -> Iterator[Record]:
            for record in records:
                ids.append(record.id)
                yield record

        report = import_traces(self._log, noted(), recorded_at=recorded_at)
        return Added(tuple(ids), report)

    def import_(
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
            self._log,
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
        return import_traces(self._log, traces, recorded_at=recorded_at)

    def perturb(
        self,
        ids: Sequence[str] = (),
        *,
        kind: str,
        seed: int,
        where: Mapping[str, str] | None = None,
        limit: int | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> PerturbReport:
        """Record copies with one seeded error each, of the traces named or those of ``where``.

        Args and errors are those of `tunixrt.traces.perturbed.record_perturbed`.

        Raises:
            TraceLookupError: a prefix names no trace or several.
        """
        from tunixrt.traces.perturbed import record_perturbed

        found = [self[prefix] for prefix in ids] if ids else self.select(where or {})
        return record_perturbed(
            self._log, found, kind, seed, limit=limit, recorded_at=recorded_at, waiting=waiting
        )

    def stream(
        self, *, recorded_at: str | None = None, max_events: int = MAX_EVENTS
    ) -> TraceStream:
        """A writer of single traces, each on the disk when ``add`` returns.

        ```python
        with store.traces.stream() as stream:
            for question in questions:
                stream.add({"trace_version": "1.0", "prompt": question, ...})
        ```
        """
        return TraceStream(self._log, recorded_at=recorded_at, max_events=max_events)

    def recover_streams(self) -> Recovery:
        """Put what streams that died had acknowledged into the log, as opening one does."""
        return recover_streams(self._log)

    def score(
        self,
        ids: Sequence[str],
        *,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> tuple[Stated, list[Score]]:
        """Record the baseline scores of traces; what is recorded already is not recorded again."""
        return statements.score(self._log, ids, recorded_at=recorded_at, waiting=waiting)

    def label(
        self,
        ids: Sequence[str],
        labels: Mapping[str, str | None],
        *,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """Give traces labels; a value of None takes one away."""
        return statements.label(self._log, ids, labels, recorded_at=recorded_at, waiting=waiting)

    def supersede(
        self,
        ids: Sequence[str],
        *,
        by: str,
        reason: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """Say that the trace ``by`` takes the place of others."""
        return statements.supersede(
            self._log, ids, by, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def retract(
        self,
        ids: Sequence[str],
        *,
        reason: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """Take traces back: no dataset that is built later selects them."""
        return statements.retract(
            self._log, ids, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def reinstate(
        self,
        ids: Sequence[str],
        *,
        reason: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """End the retraction and the supersession of traces: datasets select them again."""
        return statements.reinstate(
            self._log, ids, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def redact(
        self,
        ids: Sequence[str],
        *,
        reason: str,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> RedactionDone:
        """Forget the text of traces; see :mod:`tunixrt.jobs.redact` for what this cannot reach.

        Raises:
            LockHeldError: another process holds the store's lock.
        """
        from tunixrt.jobs.redact import redact_traces

        return redact_traces(
            self._layout, self._log, ids, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def sweep(self, *, waiting: Waiting | None = None) -> RedactionDone:
        """Remove again what came back of redacted traces, through a merge or by hand.

        Raises:
            LockHeldError: another process holds the store's lock.
        """
        from tunixrt.jobs.redact import sweep_traces

        return sweep_traces(self._layout, self._log, waiting=waiting)


def _imported(trace: AnyTrace | Mapping[str, object]) -> ImportedTrace:
    return imported(any_trace_of(dict(trace)) if isinstance(trace, Mapping) else trace)


def _numbered(number: int, trace: AnyTrace | Mapping[str, object]) -> ImportedTrace:
    try:
        return _imported(trace)
    except TraceError as error:
        sentence = f"Trace {number} of those given: {error} Nothing was recorded."
        violation = msgspec.structs.replace(error.violation, sentence=sentence)
        raise TraceError(violation) from error


def _on_error(text: str) -> OnError:
    if text not in list(OnError):
        raise BadInputError(
            f"There is no on_error {text!r}: expected {' or '.join(OnError)}."
            f"{suggestion(text, OnError)}"
        )
    return OnError(text)


def _has(trace: StoredTrace, where: Mapping[str, str]) -> bool:
    return all(value_of(trace.state, trace.content, key) == text for key, text in where.items())


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
