"""Give a run a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.errors import StoreLockedError
from tunixrt.log.lock import LockHeldError, store_lock
from tunixrt.runs.directories import find_run
from tunixrt.runs.promotions import promoted, read_promotions
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.log.segment.events import Envelope


@dataclass(frozen=True)
class Promotion:
    """The result of giving a run a name.

    ``before`` are the runs that had the name until now: none, one, or several where branches
    disagreed. ``segment`` is what was recorded; None where the run had the name already.
    """

    name: str
    run_id: str
    before: tuple[str, ...]
    segment: Digest | None


class NotNamedError(StoreLockedError):
    """A run was published but not named, because the store was locked.

    Attributes:
        run_id: the run, which is published.
        name: the name that it was not given.
    """

    def __init__(self, run_id: str, name: str, error: LockHeldError) -> None:
        super().__init__(
            f"The run {run_id[:12]} is published, but not named {name}: {error} Then the same "
            "command finds the run and gives it the name."
        )
        self.run_id = run_id
        self.name = name


@dataclass(frozen=True)
class PromoteRequest:
    """The request of a name for a run.

    Attributes:
        name: the name.
        recorded_at: an RFC 3339 time to put into the event; none by default.
        waiting: how to wait for the store's lock.
    """

    name: str
    recorded_at: str | None = None
    waiting: Waiting | None = None

    def check(self) -> None:
        """Check that a run can be given this name, before the run is made.

        Raises:
            BadNameError: the name is not allowed.
            RunNameError: it could be mistaken for a run id.
            TimeError: ``recorded_at`` is not an RFC 3339 time.
        """
        self.event("")

    def event(self, run_id: str) -> tuple[Envelope, bytes]:
        """The event that gives a run the name.

        Raises:
            BadNameError, RunNameError, TimeError: as of `check`.
        """
        if self.recorded_at is not None:
            check_utc(self.recorded_at, "time of the promotion")
        return promoted(self.name, run_id, self.recorded_at)


def name_made_run(
    layout: Layout, log: EventLog, run_id: str, request: PromoteRequest | None
) -> Promotion | None:
    """`promote_run`, for a run that has just been published; None without a request.

    Raises:
        NotNamedError: another process holds the store's lock.
    """
    if request is None:
        return None
    try:
        return promote_run(layout, log, run_id, request)
    except LockHeldError as error:
        raise NotNamedError(run_id, request.name, error) from error


def promote_run(layout: Layout, log: EventLog, run: str, request: PromoteRequest) -> Promotion:
    """Record a name for a run; does nothing where it has the name already.

    Args:
        layout: where the runs are.
        log: where the event goes.
        run: a run id, a prefix, or another name.
        request: the name to give.

    Raises:
        BadNameError: the name is not allowed.
        RunNameError: it could be mistaken for a run id.
        TimeError: its time is not an RFC 3339 time.
        UnknownRunError: the run does not exist, or ``run`` is an ambiguous name.
        LockHeldError: another process holds the store's lock.
    """
    request.check()
    run_id = find_run(layout, run).run_id
    event = request.event(run_id)
    with store_lock(layout, "run promote", request.waiting):
        known = read_promotions(log)
        current = known.names.get(request.name)
        before = known.conflicts.get(request.name, () if current is None else (current,))
        segment = None if before == (run_id,) else log.append([event])
    return Promotion(name=request.name, run_id=run_id, before=before, segment=segment)
