"""Give a run a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.log.lock import store_lock
from tunixrt.runs.directories import find_run
from tunixrt.runs.promotions import promoted, read_promotions
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting


@dataclass(frozen=True)
class Promotion:
    """A name that a run has now.

    ``before`` are the runs that had it until now: none, one, or several where branches disagreed.
    ``segment`` is what was recorded; None where the run had the name already.
    """

    name: str
    run_id: str
    before: tuple[str, ...]
    segment: Digest | None


def promote_run(
    layout: Layout,
    log: EventLog,
    run: str,
    name: str,
    *,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> Promotion:
    """Record that a run has a name from now on; nothing where it has it already.

    Args:
        layout: where the runs are.
        log: where the event goes.
        run: a run id, its beginning, or another name.
        name: the name to give.
        recorded_at: an RFC 3339 time to put into the event; none by default.
        waiting: how to wait for the store's lock.

    Raises:
        BadNameError: the name cannot be one.
        RunNameError: it could be mistaken for a run id.
        UnknownRunError: there is no such run, or ``run`` is a name in dispute.
        LockHeldError: another process holds the store's lock.
    """
    if recorded_at is not None:
        check_utc(recorded_at, "time of the promotion")
    run_id = find_run(layout, run).run_id
    event = promoted(name, run_id, recorded_at)
    with store_lock(layout, "run promote", waiting):
        known = read_promotions(log)
        current = known.names.get(name)
        before = known.conflicts.get(name, () if current is None else (current,))
        segment = None if before == (run_id,) else log.append([event])
    return Promotion(name=name, run_id=run_id, before=before, segment=segment)
