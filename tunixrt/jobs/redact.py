"""The redaction job: remove the text of traces, and report where it still exists.

The log removes the text (``tunixrt.log.redaction``); what ``verify --rebuild`` derives from the log
contains ids and no text, except the lookup index, which is deleted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.jobs.remains import Remains, find_remains, history_command
from tunixrt.log.digests import Digest, digits_of, from_hex, is_hex
from tunixrt.log.redaction import Redaction, redact, redacted_traces, sweep
from tunixrt.traces import facts as events
from tunixrt.traces.lookup import find_trace
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.saved_index import forget_index
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.state import project
from tunixrt.traces.times import check_utc
from tunixrt.traces.views import prompts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.state import Projection


class RedactionDone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a redaction did, and what it could not do.

    Attributes:
        traces: The traces that were named.
        n_new: How many of them had not been redacted before.
        n_unknown: How many of them the log does not record; they are redacted on arrival.
        segment: The segment with the new events; None where nothing was new.
        removed: Where payloads were removed: path relative to the root, and line.
        repaired: Parts that a merge had left with conflict markers, joined before the sweep.
        remains: Where the traces still exist.
        history_command: The command that redacts them in the history of Git.
    """

    traces: list[Digest]
    n_new: int
    n_unknown: int
    segment: Digest | None
    removed: tuple[tuple[str, int], ...]
    repaired: tuple[str, ...]
    remains: Remains
    history_command: str


def redact_traces(
    layout: Layout,
    log: EventLog,
    prefixes: Sequence[str],
    *,
    reason: str,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> RedactionDone:
    """Redact traces: record it, and remove their payloads from every segment.

    Args:
        layout: The store.
        log: Its log.
        prefixes: Ids or unique prefixes. A full id may be of a trace that is not here yet.
        reason: Why. It is kept permanently, so it should reveal nothing of the content.
        recorded_at: RFC 3339 in UTC.
        waiting: How to wait for the store's lock.

    Raises:
        TraceLookupError: A prefix names no trace or several; nothing is changed.
        LockHeldError: Another process holds the store's lock.
        DamagedError: The log is damaged.
    """
    if recorded_at is not None:
        check_utc(recorded_at, "time of the redaction")
    with project(log) as projection:
        traces = list(dict.fromkeys(_resolve(projection, prefix) for prefix in prefixes))
        states = [projection.get(trace) for trace in traces]
        prompts = []
        for state in states:
            payload = None if state is None else read_payload(log, state)
            if payload is not None:
                prompts.extend(prompts_of(parse_payload(payload)))
    _, payload = events.redacted(traces[0], reason)
    done = redact(log, traces, payload=payload, recorded_at=recorded_at, waiting=waiting)
    forgotten = [state is not None and state.redacted for state in states]
    return _report(
        layout,
        done,
        traces,
        prompts,
        n_new=forgotten.count(False),
        n_unknown=sum(state is None or state.location is None for state in states),
    )


def sweep_traces(layout: Layout, log: EventLog, *, waiting: Waiting | None = None) -> RedactionDone:
    """Remove text of redacted traces that came back.

    Raises:
        LockHeldError: Another process holds the store's lock.
        DamagedError: The log is damaged in other ways than a merge that stopped at a redaction.
    """
    done = sweep(log, waiting=waiting)
    traces = sorted(redacted_traces(log))
    return _report(layout, done, traces, [], n_new=0, n_unknown=0)


def _resolve(projection: Projection, prefix: str) -> Digest:
    digits = digits_of(prefix)
    return from_hex(digits) if is_hex(digits) else find_trace(projection, prefix).id


def _report(
    layout: Layout,
    done: Redaction,
    traces: list[Digest],
    prompts: list[str],
    *,
    n_new: int,
    n_unknown: int,
) -> RedactionDone:
    forget_index(layout)
    parts = sorted({path for path, _ in done.removed})
    return RedactionDone(
        traces=traces,
        n_new=n_new,
        n_unknown=n_unknown,
        segment=done.segment,
        removed=done.removed,
        repaired=done.repaired,
        remains=find_remains(layout, set(traces), prompts, parts),
        history_command=history_command(traces),
    )
