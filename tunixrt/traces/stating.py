"""States facts about recorded traces: scores, labels, successors, retractions.

Each function is idempotent: an undisputed fact that is in the log is not stated again. A fact that
branches dispute is decided by stating it again. Each function holds the store's lock while it
reads and appends, so that concurrent processes state facts in sequence, and not like branches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.log.lock import store_lock
from tunixrt.traces import facts as events
from tunixrt.traces.lookup import find_trace
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.scorers import CustomScore
from tunixrt.traces.scores import Score, baseline_score
from tunixrt.traces.state import project
from tunixrt.traces.state_table import RETRACTED, SUPERSEDED
from tunixrt.traces.times import check_utc
from tunixrt.traces.views import flat_view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.facts import NewEvent
    from tunixrt.traces.state import Projection, TraceState


class Stated(msgspec.Struct, frozen=True):
    """What was stated.

    ``traces`` are all that were named, in the given order; ``n_new`` counts the events that were
    appended for them, and ``segment`` is None without any.
    """

    traces: tuple[Digest, ...]
    n_new: int
    segment: Digest | None


class StatementError(BadInputError):
    """A fact that cannot be stated of this trace."""


def retract(
    log: EventLog,
    prefixes: Sequence[str],
    *,
    reason: str | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> Stated:
    """Retract traces: no dataset selects them any more; their text stays.

    Raises:
        TraceLookupError: A prefix names no trace or several; nothing is stated.
        BadInputError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """

    def say(_: Projection, state: TraceState, disputed: set[str]) -> list[NewEvent]:
        if state.retracted and RETRACTED not in disputed:
            return []
        return [events.retracted(state.id, reason, recorded_at)]

    return _state(log, prefixes, say, recorded_at, work="trace retract", waiting=waiting)


def reinstate(
    log: EventLog,
    prefixes: Sequence[str],
    *,
    reason: str | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> Stated:
    """End the retraction and the supersession of traces: datasets select them again.

    Raises:
        TraceLookupError: A prefix names no trace or several; nothing is stated.
        StatementError: A trace was redacted, which is final.
        BadInputError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """

    def say(_: Projection, state: TraceState, disputed: set[str]) -> list[NewEvent]:
        if state.redacted:
            raise StatementError(
                f"The trace {state.id} was redacted, which is final: its text is gone, so it "
                "cannot be reinstated."
            )
        withdrawn = state.retracted or state.superseded_by is not None
        if not withdrawn and disputed.isdisjoint((RETRACTED, SUPERSEDED)):
            return []
        return [events.reinstated(state.id, reason, recorded_at)]

    return _state(log, prefixes, say, recorded_at, work="trace reinstate", waiting=waiting)


def label(
    log: EventLog,
    prefixes: Sequence[str],
    labels: Mapping[str, str | None],
    *,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> Stated:
    """Label traces, or remove a label if the value is None.

    Raises:
        TraceLookupError: A prefix names no trace or several; nothing is stated.
        EventContentError: A label or value is empty or too long.
        BadInputError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """

    def say(_: Projection, state: TraceState, disputed: set[str]) -> list[NewEvent]:
        return [
            events.labelled(state.id, name, value, recorded_at)
            for name, value in labels.items()
            if state.labels.get(name) != value or f"label:{name}" in disputed
        ]

    return _state(log, prefixes, say, recorded_at, work="trace label", waiting=waiting)


def supersede(
    log: EventLog,
    prefixes: Sequence[str],
    by: str,
    *,
    reason: str | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> Stated:
    """State that another trace supersedes these.

    Raises:
        TraceLookupError: A prefix names no trace or several; nothing is stated.
        EventContentError: A trace would supersede itself.
        StatementError: The other trace is superseded by one of these, so that neither would count.
        BadInputError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """

    def say(projection: Projection, state: TraceState, disputed: set[str]) -> list[NewEvent]:
        other = find_trace(projection, by)
        if state.superseded_by == other.id and SUPERSEDED not in disputed:
            return []
        event = events.superseded(state.id, other.id, reason, recorded_at)
        _refuse_circle(projection, state, other)
        return [event]

    return _state(log, prefixes, say, recorded_at, work="trace supersede", waiting=waiting)


def score(
    log: EventLog,
    prefixes: Sequence[str],
    *,
    scorer: Callable[[TraceState], CustomScore] | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> tuple[Stated, list[Score | CustomScore]]:
    """Record the scores of traces, and return them in the order of the prefixes.

    Args:
        log: Where the traces are.
        prefixes: The traces.
        scorer: Scores a trace whose text exists; the baseline score without it. It may take long,
            so it is called before the lock of the store is taken.
        recorded_at: The time to state in the events, RFC 3339 in UTC; None states none.
        waiting: How to wait for the store's lock.

    Raises:
        TraceLookupError: A prefix names no trace or several; nothing is stated.
        StatementError: The text of a trace does not exist here.
        ScorerError: The scorer failed, or did not return a score.
        DamagedError: The text of a trace is damaged.
        BadInputError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """
    scores: dict[Digest, Score | CustomScore] = {}
    with project(log) as projection:
        for state in [find_trace(projection, prefix) for prefix in prefixes]:
            if state.redacted or not state.kept:
                what = "was redacted" if state.redacted else "is not recorded here"
                raise StatementError(f"The trace {state.id} {what}, so it cannot be scored.")
            if state.id not in scores:
                scores[state.id] = _baseline(log, state) if scorer is None else scorer(state)

    def say(_: Projection, state: TraceState, disputed: set[str]) -> list[NewEvent]:
        found = scores[state.id]
        version = found.version if isinstance(found, CustomScore) else None
        known = state.scores.get(found.scorer) == found.score
        same = known and state.scorers.get(found.scorer) == version
        if same and disputed.isdisjoint((f"score:{found.scorer}", f"scorer:{found.scorer}")):
            return []
        return [events.scored(state.id, found, recorded_at)]

    stated = _state(log, prefixes, say, recorded_at, work="trace score", waiting=waiting)
    return stated, [scores[trace] for trace in stated.traces]


def _baseline(log: EventLog, state: TraceState) -> Score:
    payload = read_payload(log, state)
    if payload is None:  # redacted since the state was read
        raise StatementError(f"The trace {state.id} was redacted, so it cannot be scored.")
    return baseline_score(flat_view(parse_payload(payload)))


def _state(
    log: EventLog,
    prefixes: Sequence[str],
    say: Callable[[Projection, TraceState, set[str]], list[NewEvent]],
    recorded_at: str | None,
    *,
    work: str,
    waiting: Waiting | None,
) -> Stated:
    if recorded_at is not None:
        check_utc(recorded_at, "time of the statement")
    with store_lock(log.layout, work, waiting), project(log) as projection:
        # Two prefixes may name one trace: the fact is stated once.
        states = [find_trace(projection, prefix) for prefix in prefixes]
        disputed: dict[Digest, set[str]] = {}
        for conflict in projection.conflicts():
            disputed.setdefault(conflict.trace, set()).add(conflict.fact)
        named = {state.id: state for state in states}
        new = [
            event
            for state in named.values()
            for event in say(projection, state, disputed.get(state.id, set()))
        ]
        return Stated(tuple(named), len(new), log.append(new))


def _refuse_circle(projection: Projection, state: TraceState, other: TraceState) -> None:
    seen = {other.id}
    current: TraceState | None = other
    while current is not None and current.superseded_by is not None:
        if current.superseded_by == state.id:
            raise StatementError(
                f"The trace {other.id} is itself superseded by {state.id}, directly or through "
                "others: if each superseded the other, neither would count."
            )
        if current.superseded_by in seen:
            return
        seen.add(current.superseded_by)
        current = projection.get(current.superseded_by)
