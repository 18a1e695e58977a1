"""One trace of a store: what the log says of it, and its content when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.schema import AnyTrace, Trace, parse_payload
from tunixrt.traces.trace_rows import trace_row
from tunixrt.traces.views import flat_view

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.state import TraceState


class TraceGoneError(BadInputError):
    """The payload of a trace is not there: it was redacted, or never recorded here."""


class StoredTrace:
    """One trace of a store; its content is read when it is asked for.

    Attributes:
        state: what the log says of it: labels, scores, whether it is active.
    """

    def __init__(self, log: EventLog, state: TraceState) -> None:
        """Wrap a state; nothing is read."""
        self._log = log
        self.state = state

    def __repr__(self) -> str:
        return f"<trace {self.id[7:19]} ({'active' if self.state.active else 'not active'})>"

    @property
    def id(self) -> Digest:
        """The digest that names it."""
        return self.state.id

    @property
    def is_readable(self) -> bool:
        """Whether its content is here."""
        return self.state.kept and not self.state.redacted

    @cached_property
    def flat(self) -> Trace:
        """The trace as schema 1.0 has it, also if it is a conversation; see `flat_view`.

        Raises:
            TraceGoneError: it was redacted, or no event records it here.
        """
        return flat_view(self.content)

    @cached_property
    def content(self) -> AnyTrace:
        """The trace itself: prompt, steps, final answer, metadata; or a conversation.

        Raises:
            TraceGoneError: it was redacted, or no event records it here.
        """
        return _read(self._log, self.state)

    def as_dict(self) -> dict[str, Any]:
        """The trace as plain values with its id, as the export format ``trace`` has it.

        A conversation has ``messages`` instead of ``prompts`` and ``trace_steps``; `flat` has the
        question, the steps and the answer of either.

        Raises:
            TraceGoneError: it was redacted, or no event records it here.
        """
        row = trace_row(self.content, self.id, self.state.recorded_at)
        plain: dict[str, Any] = msgspec.to_builtins(row)
        return plain


def _read(log: EventLog, state: TraceState) -> AnyTrace:
    payload = read_payload(log, state)
    if payload is None:
        what = "was redacted" if state.redacted else "is not recorded here"
        raise TraceGoneError(f"The trace {state.id} {what}: its text is not in this store.")
    return parse_payload(payload)
