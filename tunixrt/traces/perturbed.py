"""Records perturbed traces: new traces in one segment, each with the label of its wrong step.

The label is ``step.I`` = ``wrong``, by which the export format ``stepwise`` judges steps: those
before it are right, and an error carries over to those after it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from tunixrt.log.digests import Digest
from tunixrt.log.lock import store_lock
from tunixrt.traces.facts import STEP_LABEL, WRONG, labelled, recorded
from tunixrt.traces.known_traces import KnownTraces
from tunixrt.traces.perturbing import PERTURBED_FROM, PerturbError, parse_perturbation, perturb
from tunixrt.traces.schema import payload_of, trace_id
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.lock import Waiting
    from tunixrt.traces.facts import NewEvent
    from tunixrt.traces.perturbing import Perturbation
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState


class Original(Protocol):
    """A trace to perturb: its state, and its content."""

    @property
    def state(self) -> TraceState:
        """What the log says of it."""

    @property
    def content(self) -> AnyTrace:
        """The trace itself."""


class Unperturbed(StrEnum):
    """Why a trace was not perturbed, or its perturbed form not recorded."""

    NOTHING = "nothing to change"
    WRONG_ALREADY = "a step is wrong already"
    WITHDRAWN = "withdrawn before"


class Omitted(msgspec.Struct, frozen=True):
    """One trace that was not perturbed, and why."""

    trace: Digest
    reason: Unperturbed


class PerturbReport(msgspec.Struct, frozen=True):
    """What became of the traces.

    Attributes:
        recorded: How many perturbed traces are new.
        duplicates: How many were recorded before.
        omitted: How many were left out, by reason.
        omissions: Each of them, in the order of the originals.
        segment: What was recorded; None if nothing is new.
    """

    recorded: int
    duplicates: int
    omitted: dict[str, int]
    omissions: tuple[Omitted, ...]
    segment: Digest | None


def record_perturbed(
    log: EventLog,
    originals: Iterable[Original],
    kind: str,
    seed: int,
    *,
    limit: int | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> PerturbReport:
    """Record a perturbed form of each trace as one segment, whole or not at all.

    Traces that are perturbed already, or have a step that is labelled wrong, are left out: which of
    their steps are right would no longer follow from one label.

    Args:
        log: Where the traces go.
        originals: The traces; they are read one at a time.
        kind: The kind of error: ``digit``, ``operator`` or ``swap``.
        seed: Decides among the possible errors.
        limit: Stop after this many perturbed traces, new or recorded before.
        recorded_at: The time to state in the events, RFC 3339 in UTC.
        waiting: How to wait for the store's lock.

    Raises:
        PerturbError: There is no such kind, or a trace is not active; nothing is recorded.
        TraceError: A perturbed trace would be above 32 MiB; nothing is recorded.
        TimeError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """
    if recorded_at is not None:
        check_utc(recorded_at, "time of the recording")
    writer = _Writer(parse_perturbation(kind), seed, limit, recorded_at)
    with store_lock(log.layout, "trace perturb", waiting), KnownTraces(log.events()) as known:
        segment = log.append(writer.events(originals, known))
    omitted = {
        str(reason): n
        for reason in Unperturbed
        if (n := sum(omission.reason is reason for omission in writer.omissions))
    }
    return PerturbReport(
        writer.n_recorded, writer.n_duplicates, omitted, tuple(writer.omissions), segment
    )


class _Writer:
    """Makes the events, and counts."""

    def __init__(
        self, kind: Perturbation, seed: int, limit: int | None, recorded_at: str | None
    ) -> None:
        self.n_recorded = 0
        self.n_duplicates = 0
        self.omissions: list[Omitted] = []
        self._kind, self._seed, self._limit = kind, seed, limit
        self._recorded_at = recorded_at

    def events(self, originals: Iterable[Original], known: KnownTraces) -> Iterator[NewEvent]:
        for original in originals:
            if self.n_recorded + self.n_duplicates == self._limit:
                return
            yield from self._events_of(original, known)

    def _events_of(self, original: Original, known: KnownTraces) -> Iterator[NewEvent]:
        if not original.state.active:
            # Its copy would bring back what was withdrawn.
            raise PerturbError(
                f"The trace {original.state.id} is retracted, superseded, redacted or not recorded "
                "here, so it cannot be perturbed. Nothing was recorded."
            )
        if _has_an_error(original):
            self._omit(original, Unperturbed.WRONG_ALREADY)
            return
        found = perturb(original.content, self._kind, self._seed)
        if found is None:
            self._omit(original, Unperturbed.NOTHING)
            return
        payload = payload_of(found.trace)
        new = trace_id(payload)
        if new in known.redacted or new in known.retracted:
            self._omit(original, Unperturbed.WITHDRAWN)
        elif not known.claim(new):
            self.n_duplicates += 1
        else:
            self.n_recorded += 1
            yield recorded(new, payload, self._recorded_at)
            yield labelled(new, f"{STEP_LABEL}{found.step}", WRONG, self._recorded_at)

    def _omit(self, original: Original, reason: Unperturbed) -> None:
        self.omissions.append(Omitted(original.state.id, reason))


def _has_an_error(original: Original) -> bool:
    labels = original.state.labels
    labelled_wrong = any(
        name.startswith(STEP_LABEL) and value == WRONG for name, value in labels.items()
    )
    return labelled_wrong or PERTURBED_FROM in original.content.meta
