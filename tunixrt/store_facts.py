"""The part of the facade that states facts about single traces, and forgets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tunixrt.traces import stating as statements
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import ImportReport, import_traces
from tunixrt.traces.schema import trace_of
from tunixrt.traces.stream import MAX_EVENTS, Recovery, TraceStream, recover_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.jobs.redact import RedactionDone
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.schema import Trace
    from tunixrt.traces.scores import Score
    from tunixrt.traces.stating import Stated


class FactMethods:
    """What `Store` can say of traces. Ids may be given as unique prefixes."""

    layout: Layout
    log: EventLog

    def add_trace(
        self, trace: Trace | Mapping[str, object], *, recorded_at: str | None = None
    ) -> tuple[Digest, ImportReport]:
        """Record one trace; its id, and whether it was recorded, a duplicate or withdrawn before.

        Raises:
            TraceError: it is no trace, and nothing was recorded; the message names the field.
        """
        record = imported(trace_of(dict(trace)) if isinstance(trace, Mapping) else trace)
        return record.id, import_traces(self.log, [record], recorded_at=recorded_at)

    def stream(
        self, *, recorded_at: str | None = None, max_events: int = MAX_EVENTS
    ) -> TraceStream:
        """A writer of single traces, each on the disk when ``add`` returns.

        ```python
        with store.stream() as stream:
            for question in questions:
                stream.add({"trace_version": "1.0", "prompt": question, ...})
        ```
        """
        return TraceStream(self.log, recorded_at=recorded_at, max_events=max_events)

    def recover_streams(self) -> Recovery:
        """Put what streams that died had acknowledged into the log, as opening one does."""
        return recover_streams(self.log)

    def score_traces(
        self,
        ids: Sequence[str],
        *,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> tuple[Stated, list[Score]]:
        """Record the baseline scores of traces; what is recorded already is not recorded again."""
        return statements.score(self.log, ids, recorded_at=recorded_at, waiting=waiting)

    def label_traces(
        self,
        ids: Sequence[str],
        labels: Mapping[str, str | None],
        *,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """Give traces labels; a value of None takes one away."""
        return statements.label(self.log, ids, labels, recorded_at=recorded_at, waiting=waiting)

    def supersede_traces(
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
            self.log, ids, by, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def retract_traces(
        self,
        ids: Sequence[str],
        *,
        reason: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """Take traces back: no dataset that is built later selects them."""
        return statements.retract(
            self.log, ids, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def reinstate_traces(
        self,
        ids: Sequence[str],
        *,
        reason: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Stated:
        """End the retraction and the supersession of traces: datasets select them again."""
        return statements.reinstate(
            self.log, ids, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def redact_traces(
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
            self.layout, self.log, ids, reason=reason, recorded_at=recorded_at, waiting=waiting
        )

    def sweep(self, *, waiting: Waiting | None = None) -> RedactionDone:
        """Remove again what came back of redacted traces, through a merge or by hand.

        Raises:
            LockHeldError: another process holds the store's lock.
        """
        from tunixrt.jobs.redact import sweep_traces

        return sweep_traces(self.layout, self.log, waiting=waiting)
