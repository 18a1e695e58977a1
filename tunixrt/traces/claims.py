"""What the log states under a name: the claims that no later claim has seen.

A name that one branch gives and another moves has one claim at last, and two branches that state
different things leave both, as `tunixrt.traces.state` has it for facts about traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tunixrt.traces.state import Ancestry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.segment.events import StoredEvent

T = TypeVar("T")


def standing_claims(
    log: EventLog,
    event_types: Collection[str],
    read: Callable[[StoredEvent], tuple[str, T] | None],
) -> dict[str, list[T]]:
    """Return the undecided claims of every name, in the order of the log: one if none disputes it.

    Args:
        log: The log.
        event_types: The types of the events that make claims.
        read: Returns name and value of a claim; None for an event that this version cannot
            interpret, which is skipped like one of an unknown type.

    Raises:
        DamagedError: A part that holds such events is damaged.
    """
    is_ancestor = Ancestry(log.segments())
    standing: dict[str, list[tuple[T, Digest]]] = {}
    for event in log.events_of(*event_types):
        claim = read(event)
        if claim is None:
            continue
        name, value = claim
        others = [
            (other, segment)
            for other, segment in standing.get(name, ())
            if not is_ancestor(segment, event.segment)
        ]
        standing[name] = [*others, (value, event.segment)]
    return {name: [value for value, _ in claims] for name, claims in standing.items()}
