"""What a writer must know of the log: which traces are recorded, and which are withdrawn.

Only envelopes are read, so it takes a fraction of the time of a projection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tunixrt.log.digests import Digest, raw_of
from tunixrt.log.segment.events import RECORDED, REDACTED
from tunixrt.traces.facts import REINSTATED, RETRACTED
from tunixrt.traces.id_set import IdSet
from tunixrt.traces.state_table import recorded_trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunixrt.log.segment.events import StoredEvent


class KnownTraces:
    """The traces that were recorded or are about to be; close it when done.

    Attributes:
        redacted: The traces that must be forgotten.
        retracted: The traces that were retracted and not reinstated later.
    """

    def __init__(self, stored: Iterable[StoredEvent] = ()) -> None:
        """Collect the facts of the events.

        Raises:
            DamagedError: The log is damaged.
        """
        self.redacted: set[Digest] = set()
        self.retracted: set[Digest] = set()
        self._ids = IdSet()
        self.note(stored)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory."""
        self._ids.close()

    def note(self, stored: Iterable[StoredEvent]) -> None:
        """Add the facts of more events.

        Raises:
            DamagedError: The log is damaged, or a recording does not name a trace.
        """
        withdrawn = {REDACTED: self.redacted, RETRACTED: self.retracted}
        for event in stored:
            envelope = event.envelope
            if envelope.type == RECORDED:
                self._ids.add(raw_of(recorded_trace(event)))
            elif envelope.type in withdrawn and envelope.trace is not None:
                withdrawn[envelope.type].add(envelope.trace)
            elif envelope.type == REINSTATED and envelope.trace is not None:
                self.retracted.discard(envelope.trace)

    def claim(self, trace: Digest) -> bool:
        """Add the id of a trace that is about to be recorded; return False if it is known."""
        return self._ids.add(raw_of(trace))
