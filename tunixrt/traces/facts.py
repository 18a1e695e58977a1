"""What can be said of a trace after it was recorded, as events for the log and back.

Every fact is an event of its own: it is never edited, only followed by another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.segment.events import RECORDED, REDACTED, Envelope
from tunixrt.traces.violations import quoted

if TYPE_CHECKING:
    from tunixrt.traces.scores import Score

SCORED: Final = "trace.scored"
LABELLED: Final = "trace.labelled"
SUPERSEDED: Final = "trace.superseded"
RETRACTED: Final = "trace.retracted"
REINSTATED: Final = "trace.reinstated"

MAX_LABEL_CHARACTERS: Final = 200

#: An event that is ready to be appended: its envelope and its payload.
NewEvent = tuple[Envelope, bytes | None]


class EventContentError(BadInputError):
    """A fact that cannot be stated as asked."""


class Scored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A score, who gave it, and how it came about."""

    scorer: str
    score: float
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class Labelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label and its value; None takes the label away."""

    label: str
    value: str | None


class Superseded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The trace that takes the place of this one."""

    by: Digest
    reason: str | None = None


class Withdrawn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Why a trace was retracted, reinstated or redacted."""

    reason: str | None = None


def recorded(trace: Digest, payload: bytes, recorded_at: str | None = None) -> NewEvent:
    """A trace enters the log."""
    return Envelope(type=RECORDED, payload=trace, recorded_at=recorded_at), payload


def scored(trace: Digest, score: Score, recorded_at: str | None = None) -> NewEvent:
    """A trace was given a score."""
    content = Scored(score.scorer, score.score, msgspec.to_builtins(score.details))
    return _about(SCORED, trace, content, recorded_at)


def labelled(
    trace: Digest, label: str, value: str | None, recorded_at: str | None = None
) -> NewEvent:
    """A trace was given a label, or had it taken away.

    Raises:
        EventContentError: The label or its value is empty or longer than 200 characters.
    """
    for what, text in (("label", label), ("value of a label", value)):
        if text is not None and not 1 <= len(text) <= MAX_LABEL_CHARACTERS:
            raise EventContentError(
                f"The {what} should be text of 1 to {MAX_LABEL_CHARACTERS} characters, but is "
                f"{quoted(text)} with {len(text):,}."
            )
    return _about(LABELLED, trace, Labelled(label, value), recorded_at)


def superseded(
    trace: Digest, by: Digest, reason: str | None = None, recorded_at: str | None = None
) -> NewEvent:
    """Another trace takes the place of a trace.

    Raises:
        EventContentError: It is the same trace.
    """
    if trace == by:
        raise EventContentError(f"The trace {trace} cannot supersede itself.")
    return _about(SUPERSEDED, trace, Superseded(by, reason), recorded_at)


def retracted(trace: Digest, reason: str | None = None, recorded_at: str | None = None) -> NewEvent:
    """A trace was taken back: it is not selected into datasets any more."""
    return _about(RETRACTED, trace, Withdrawn(reason), recorded_at)


def reinstated(
    trace: Digest, reason: str | None = None, recorded_at: str | None = None
) -> NewEvent:
    """A trace is no longer retracted or superseded: datasets select it again."""
    return _about(REINSTATED, trace, Withdrawn(reason), recorded_at)


def redacted(trace: Digest, reason: str | None = None, recorded_at: str | None = None) -> NewEvent:
    """A trace must be forgotten. The reason is kept for ever: it should tell nothing of it."""
    return _about(REDACTED, trace, Withdrawn(reason), recorded_at)


def _about(
    event_type: str, trace: Digest, content: msgspec.Struct, recorded_at: str | None
) -> NewEvent:
    payload = encode(content)
    envelope = Envelope(
        type=event_type, payload=digest_bytes(payload), trace=trace, recorded_at=recorded_at
    )
    return envelope, payload
