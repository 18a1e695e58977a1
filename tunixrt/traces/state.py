"""The state of every trace: a pure fold over the events of the log.

The fold depends only on the events in their order. Where two branches state
different facts under one name (a label, a score, what supersedes a trace), both survive as a
conflict until a later event that has seen both decides it; meanwhile the one that is last in the
order of the log counts. A reinstatement ends a retraction and a supersession by the same rule: it
states "not retracted" and "superseded by none". A redaction is final, wherever it is in the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tunixrt.log.canonical import decode_canonical, encode
from tunixrt.log.digests import Digest, is_digest
from tunixrt.log.segment.events import RECORDED
from tunixrt.log.segment.events import REDACTED as TRACE_REDACTED
from tunixrt.log.segment.reader import read_part, read_recordings
from tunixrt.traces import facts as events
from tunixrt.traces.state_table import (
    REDACTED,
    RETRACTED,
    SUPERSEDED,
    Fact,
    Location,
    Recording,
    TraceIndex,
    recorded_trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from tunixrt.log.eventlog import EventLog, SegmentRef
    from tunixrt.log.segment.events import StoredEvent

_LABEL: Final = "label:"
_SCORE: Final = "score:"
_SCORER: Final = "scorer:"


class TraceState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one trace according to the log.

    ``place`` counts events from 0 in the order of the log; it and ``location`` are None for a trace
    that events name and none records. ``kept`` is whether the payload exists.
    """

    id: Digest
    place: int | None = None
    location: Location | None = None
    kept: bool = False
    recorded_at: str | None = None
    superseded_by: Digest | None = None
    retracted: bool = False
    redacted: bool = False
    labels: dict[str, str]
    scores: dict[str, float]
    scorers: dict[str, str] = {}

    @property
    def active(self) -> bool:
        """Whether a dataset may select it."""
        ended = self.redacted or self.retracted or self.superseded_by is not None
        return self.kept and not ended


class Claim(msgspec.Struct, frozen=True):
    """One side of a conflict: a value, and the segment that states it."""

    value: Any
    segment: Digest


class Conflict(msgspec.Struct, frozen=True):
    """Different facts under one name; the last claim counts until it is decided.

    ``fact`` is ``label:NAME``, ``score:SCORER``, ``scorer:SCORER`` (its version), ``superseded``
    (None: by none) or ``retracted`` (True or False).
    """

    trace: Digest
    fact: str
    claims: tuple[Claim, ...]


class EventProblem(msgspec.Struct, frozen=True):
    """An event whose bytes are valid and whose content this version cannot interpret."""

    segment: Digest
    part: str
    line: int
    sentence: str


class Ancestry:
    """Tells which segments a segment was appended to, directly or not."""

    def __init__(self, segments: Iterable[SegmentRef]) -> None:
        self._parents: dict[Digest, Sequence[Digest]] = {s.digest: s.parents for s in segments}

    def __call__(self, ancestor: Digest, segment: Digest) -> bool:
        """Return whether ``segment`` is the ancestor itself or has it in its history."""
        waiting, seen = [segment], {segment}
        while waiting:
            current = waiting.pop()
            if current == ancestor:
                return True
            fresh = [p for p in self._parents.get(current, ()) if p not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        return False


class Projection:
    """The state of every trace at one set of segments; read-only, to be closed."""

    def __init__(self, index: TraceIndex, problems: Sequence[EventProblem] = ()) -> None:
        self._index = index
        self.problems = tuple(problems)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the table behind it."""
        self._index.close()

    @property
    def n_traces(self) -> int:
        """The number of distinct traces ever recorded."""
        return self._index.count(active=False)

    @property
    def n_active(self) -> int:
        """The number of traces that may be selected."""
        return self._index.count(active=True)

    def traces(self) -> Iterator[TraceState]:
        """Yield every trace ever recorded, in the order of the log."""
        return self._states(self._index.recordings(active=False))

    def active(self) -> Iterator[TraceState]:
        """Yield the traces that may be selected, in the order of the log."""
        return self._states(self._index.recordings(active=True))

    def places_by_id(self) -> Iterator[tuple[bytes, int]]:
        """Yield id (its 32 bytes) and place of every trace ever recorded, in the order of ids."""
        return self._index.places_by_id()

    def get(self, trace: Digest) -> TraceState | None:
        """Return the state of a trace; None if no event names it."""
        recording, facts = self._index.recording(trace), self._index.facts(trace)
        return self._state(trace, recording) if recording or facts else None

    def ids_between(self, low: bytes, high: bytes, limit: int) -> list[Digest]:
        """Return the known ids whose 32 bytes are in a range, sorted."""
        return self._index.between(low, high, limit)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the undecided conflicts between branches, by trace and name."""
        for trace, name in self._index.disputed():
            facts = sorted(self._index.facts(trace, name), key=lambda fact: fact.place)
            claims = tuple(Claim(_value(fact), fact.segment) for fact in facts)
            yield Conflict(trace, name, claims)

    def circles(self) -> list[list[Digest]]:
        """Return cycles of traces that supersede each other, so that none of them counts.

        One writer cannot state a cycle, but two branches together can.
        """
        # By place: the last fact about a trace counts, and a reinstatement says None.
        last = {trace: _value(fact) for trace, fact in self._index.facts_named(SUPERSEDED)}
        by = {trace: Digest(other) for trace, other in last.items() if other is not None}
        found: list[list[Digest]] = []
        done: set[Digest] = set()
        for start in by:
            path: dict[Digest, None] = {}
            trace = start
            while trace in by and trace not in done and trace not in path:
                path[trace] = None
                trace = by[trace]
            if trace in path:
                steps = list(path)
                found.append(sorted(steps[steps.index(trace) :]))
            done |= path.keys()
        return found

    def states_by_id(self, traces: Iterable[Digest]) -> Iterator[TraceState | None]:
        """Yield the states of traces given in ascending order; None for one not recorded.

        One pass over the table: for many traces, much faster than one lookup each.
        """
        recordings = self._index.recordings_by_id()
        recording = next(recordings, None)
        for trace in traces:
            while recording is not None and recording.id < trace:
                recording = next(recordings, None)
            found = recording is not None and recording.id == trace
            yield self._state(trace, recording) if found else None

    def _states(self, recordings: Iterator[Recording]) -> Iterator[TraceState]:
        if self._index.has_facts:
            for recording in recordings:
                yield self._state(recording.id, recording)
            return
        for recording in recordings:  # by far the most, in a fraction of the time
            yield TraceState(
                id=recording.id,
                place=recording.place,
                location=recording.location,
                kept=recording.kept,
                recorded_at=recording.recorded_at,
                labels={},
                scores={},
            )

    def _state(self, trace: Digest, recording: Recording | None) -> TraceState:
        facts = self._index.facts(trace)
        known = {fact.name: _value(fact) for fact in facts} if facts else {}
        return TraceState(
            id=trace,
            place=recording.place if recording else None,
            location=recording.location if recording else None,
            kept=recording.kept if recording else False,
            recorded_at=recording.recorded_at if recording else None,
            superseded_by=known.get(SUPERSEDED),
            retracted=known.get(RETRACTED, False),
            redacted=REDACTED in known,
            labels=_named(known, _LABEL),
            scores=_named(known, _SCORE),
            scorers=_named(known, _SCORER),
        )


def fold(
    stored: Iterable[StoredEvent],
    *,
    is_ancestor: Callable[[Digest, Digest], bool] | None = None,
) -> Projection:
    """Fold events, given in the order of the log, into the state of every trace.

    Args:
        stored: The events. Types that this version does not know are skipped.
        is_ancestor: Whether the first segment is in the history of the second. Without it, every
            event counts as a successor of those before it, and no conflicts are found.

    Raises:
        DamagedError: A recording does not name a trace: skipping it would lose a trace silently.
            Other events that cannot be interpreted are among the ``problems``.
    """
    return Projection(*index_of(stored, is_ancestor))


def index_of(
    stored: Iterable[StoredEvent], is_ancestor: Callable[[Digest, Digest], bool] | None = None
) -> tuple[TraceIndex, list[EventProblem]]:
    """Return the table behind a projection, for callers that write into it.

    Raises:
        DamagedError: A recording does not name a trace.
    """
    index = TraceIndex()
    return index, fold_into(index, stored, is_ancestor)


def fold_into(
    index: TraceIndex,
    stored: Iterable[StoredEvent],
    is_ancestor: Callable[[Digest, Digest], bool] | None = None,
    first_place: int = 0,
) -> list[EventProblem]:
    """Fold events into a table, which may already hold those before ``first_place``.

    Raises:
        DamagedError: A recording does not name a trace.
    """
    problems: list[EventProblem] = []
    for place, event in enumerate(stored, start=first_place):
        if event.envelope.type == RECORDED:
            index.record(place, recorded_trace(event), event)
        elif event.envelope.type in _READERS:
            _apply(index, place, event, is_ancestor, problems)
    return problems


def project(log: EventLog, segments: Collection[Digest] | None = None) -> Projection:
    """Return the state of every trace at a set of segments; at all of them by default.

    Raises:
        DamagedError: The log is damaged.
    """
    refs, is_ancestor = log.selected(segments), Ancestry(log.segments())
    index, problems, place = TraceIndex(), list[EventProblem](), 0
    for ref in refs:
        position = 0
        for part in ref.header.parts:
            found = read_recordings(ref.path, part)
            if found is not None:
                index.record_all(place, ref.digest, part.name, found)
            else:
                stored = read_part(ref.path, part, ref.digest, position)
                problems += fold_into(index, stored, is_ancestor, place)
            position += part.n_events
            place += part.n_events
    return Projection(index, problems)


def _apply(
    index: TraceIndex,
    place: int,
    event: StoredEvent,
    is_ancestor: Callable[[Digest, Digest], bool] | None,
    problems: list[EventProblem],
) -> None:
    trace = event.envelope.trace
    if event.payload is None and event.envelope.type in _NEED_CONTENT and event.envelope.payload:
        return  # the content was redacted together with its trace
    try:
        if trace is None or not is_digest(trace):
            raise ValueError("it does not name its trace")
        stated = _READERS[event.envelope.type](event.payload)
    except (msgspec.MsgspecError, ValueError) as error:
        problems.append(
            _problem(event, f"An event of the type {event.envelope.type} cannot be read: {error}.")
        )
        return
    for name, value in stated.items():
        replaced = [
            fact
            for fact in index.facts(trace, name)
            if is_ancestor is None or is_ancestor(fact.segment, event.segment)
        ]
        index.put(trace, Fact(name, place, event.segment, encode(value)), replaced)


def _problem(event: StoredEvent, sentence: str) -> EventProblem:
    return EventProblem(event.segment, event.part, event.line, sentence)


def _scored(payload: bytes | None) -> dict[str, object]:
    content = msgspec.json.decode(payload or b"", type=events.Scored)
    stated: dict[str, object] = {_SCORE + content.scorer: content.score}
    if content.version is not None:
        stated[_SCORER + content.scorer] = content.version
    return stated


def _labelled(payload: bytes | None) -> dict[str, object]:
    content = msgspec.json.decode(payload or b"", type=events.Labelled)
    return {_LABEL + content.label: content.value}


def _superseded(payload: bytes | None) -> dict[str, object]:
    by = msgspec.json.decode(payload or b"", type=events.Superseded).by
    if not is_digest(by):
        raise ValueError("what it names is not a trace id")
    return {SUPERSEDED: by}


# Each gives the facts that an event states, by name. Retraction, reinstatement and redaction hold
# whatever their payload says, and also without one.
_READERS: Final[dict[str, Callable[[bytes | None], dict[str, object]]]] = {
    events.SCORED: _scored,
    events.LABELLED: _labelled,
    events.SUPERSEDED: _superseded,
    events.RETRACTED: lambda _: {RETRACTED: True},
    events.REINSTATED: lambda _: {RETRACTED: False, SUPERSEDED: None},
    TRACE_REDACTED: lambda _: {REDACTED: True},
}
_NEED_CONTENT: Final = frozenset({events.SCORED, events.LABELLED, events.SUPERSEDED})


def _value(fact: Fact) -> Any:
    return decode_canonical(fact.value)


def _named(known: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the facts of one kind by name, without those that were removed."""
    if not known:
        return {}
    return {
        name.removeprefix(prefix): value
        for name, value in known.items()
        if name.startswith(prefix) and value is not None
    }
