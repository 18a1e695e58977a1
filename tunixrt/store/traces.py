"""The traces of a store: adding and importing them, reading them, stating facts about them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tunixrt.datasets.expressions.fields import Subject
from tunixrt.datasets.expressions.where import equal_metadata, parse_where
from tunixrt.datasets.matching import Matcher
from tunixrt.derive import QUIET
from tunixrt.store.imports import ImportRequest, import_request
from tunixrt.store.stored_trace import StoredTrace
from tunixrt.traces import stating as statements
from tunixrt.traces.arithmetic import generate_arithmetic
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import ImportReport, OnError, import_traces
from tunixrt.traces.lookup import TraceLookupError
from tunixrt.traces.saved_index import find_saved, find_with_meta
from tunixrt.traces.schema import AnyTrace, Trace, any_trace_of
from tunixrt.traces.scorers import load_scorer
from tunixrt.traces.state import Projection, project
from tunixrt.traces.stream import MAX_EVENTS, Recovery, TraceStream, recover_streams
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tunixrt.datasets.expressions.where import Where
    from tunixrt.derive import Watch
    from tunixrt.jobs.redact import RedactionDone
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.importers.places import Given
    from tunixrt.traces.importers.records import ImportedTrace, Record, Rejection
    from tunixrt.traces.perturbed import PerturbReport
    from tunixrt.traces.scorers import CustomScore
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
        return self.select()

    def __len__(self) -> int:
        with self.projection() as projection:
            return projection.n_active

    def __getitem__(self, prefix: str) -> StoredTrace:
        """The one trace whose id begins with ``prefix``.

        Raises:
            TraceLookupError: none or several do, or it is not a prefix.
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
        self,
        where: Mapping[str, str] | Iterable[str] | str | None = None,
        *,
        everything: bool = False,
    ) -> Iterator[StoredTrace]:
        """The traces that match, in the order of the log.

        Args:
            where: an expression, or several texts as ``--where`` takes them, or a mapping of
                metadata and labels (``label.NAME``) to the texts that a trace must have.
            everything: also those that were retracted, superseded or redacted.

        Raises:
            ExpressionError: a text is not an expression.
            FilterError: two filters ask for two values of one key.
        """
        return self._select(parse_where(where), everything=everything)

    def _select(self, asked: Where, *, everything: bool) -> Iterator[StoredTrace]:
        equal = equal_metadata(asked)  # what the index knows
        found = find_with_meta(self._log, equal) if equal else None
        matcher = Matcher(asked.filters, asked.expression)
        with contextlib.ExitStack() as stack:
            if found is None:
                projection = stack.enter_context(self.projection())
                found = projection.traces() if everything else projection.active()
            for state in found:
                if state.active or everything:
                    trace = StoredTrace(self._log, state)
                    if asked.is_empty or (
                        trace.is_readable and matcher.matches(Subject(state, trace.content))
                    ):
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
            TraceError: one is not a trace, and nothing was recorded; the message names the field.
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
        files: Given,
        *,
        source_format: str | None = None,
        source: str | None = None,
        strip_calculator: bool = False,
        columns: Mapping[str, str] | str | None = None,
        on_error: str = OnError.ABORT,
        recorded_at: str | None = None,
        on_rejection: Callable[[Rejection], None] | None = None,
        dry_run: bool = False,
        watch: Watch = QUIET,
    ) -> ImportReport:
        """Record every trace of files, as one segment: whole or not at all.

        Args:
            files: a file, a pattern such as ``data/*.parquet``, a directory or an ``OpenText``
                (a stream), or several of them. JSON Lines, a JSON array, CSV, Parquet and Arrow
                are read, compressed or not; docs/containers.md has the details.
            source_format: the name of a `SourceFormat`, such as ``messages``; or ``predictions``
                for what a model wrote in an evaluation; None recognises the format by the first
                records.
            source: sets ``meta.source``.
            strip_calculator: cut GSM8K's ``<<48/2=24>>`` annotations.
            columns: for the format ``columns``, which column is what: ``{"prompt": "problem",
                "answer": "solution"}``, or the same as a text, ``prompt=problem,answer=solution``.
            on_error: ``abort`` rejects all files for one bad record; ``quarantine`` sets bad
                records aside and records the rest.
            recorded_at: an RFC 3339 time to put into the events; by default, the one that a
                record of the format ``trace`` has, and none for others.
            on_rejection: called with each record set aside.
            dry_run: whether to read, check and count everything, and record nothing; the report
                then has the first traces.
            watch: its ``on_progress`` receives the bytes read of the files and their sizes (0 if
                a stream is among them), its ``on_notice`` what was skipped or recognised.

        Raises:
            BadInputError: nothing was recorded; the message says file, line and field.
        """
        request = ImportRequest(
            files=files,
            source_format=source_format,
            source=source,
            strip_calculator=strip_calculator,
            columns=columns,
            on_error=on_error,
            recorded_at=recorded_at,
            on_rejection=on_rejection,
            dry_run=dry_run,
            watch=watch,
        )
        return import_request(self._log, request)

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

    def generate_reasoning_gym(
        self, task: str, *, n: int, seed: int, recorded_at: str | None = None
    ) -> ImportReport:
        """Record ``n`` items of a task of reasoning-gym as traces of question and answer.

        Items without an answer of their own are dropped and counted.

        Raises:
            MissingExtraError: the library is not installed.
            UnknownTaskError: the task does not exist, or cannot be frozen.
        """
        from tunixrt.eval.gym import generate_traces

        records = generate_traces(task, n=n, seed=seed)
        return import_traces(self._log, records, recorded_at=recorded_at)

    def perturb(
        self,
        ids: Sequence[str] = (),
        *,
        kind: str,
        seed: int,
        where: Mapping[str, str] | Iterable[str] | str | None = None,
        limit: int | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> PerturbReport:
        """Record copies with one seeded error each, of the traces named or those of ``where``.

        ``where`` is as for `select`; other arguments and errors are those of
        `tunixrt.traces.perturbed.record_perturbed`.

        Raises:
            TraceLookupError: a prefix names no trace or several.
        """
        from tunixrt.traces.perturbed import record_perturbed

        found = [self[prefix] for prefix in ids] if ids else self.select(where)
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
        scorer: str | Callable[[StoredTrace], object] | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> tuple[Stated, list[Score | CustomScore]]:
        """Record the scores of traces, the baseline score by default; none is recorded twice.

        Args:
            ids: the traces.
            scorer: ``module:function``, or the function itself, if an import finds it: it receives
                a `StoredTrace` and returns a number, or a dictionary of ``score`` and ``details``.
            recorded_at: an RFC 3339 time to put into the events.
            waiting: how long to wait for the lock.

        Raises:
            ScorerError: the scorer cannot be loaded, fails, or does not return a score.
        """
        if scorer is None:
            return statements.score(self._log, ids, recorded_at=recorded_at, waiting=waiting)
        loaded = load_scorer(scorer)
        return statements.score(
            self._log,
            ids,
            scorer=lambda state: loaded.score(StoredTrace(self._log, state), state.id),
            recorded_at=recorded_at,
            waiting=waiting,
        )

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
