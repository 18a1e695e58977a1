"""Facts about a recorded trace, encoded as events for the log and decoded again.

Every fact is a separate event: it is never edited, only followed by another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.segment.events import RECORDED, REDACTED, Envelope
from tunixrt.words import quoted

if TYPE_CHECKING:
    from tunixrt.traces.scorers import CustomScore
    from tunixrt.traces.scores import Score

SCORED: Final = "trace.scored"
LABELLED: Final = "trace.labelled"
SUPERSEDED: Final = "trace.superseded"
RETRACTED: Final = "trace.retracted"
REINSTATED: Final = "trace.reinstated"

MAX_LABEL_CHARACTERS: Final = 200

#: The label that judges a step, followed by the index ``i`` of the step, and its two values.
STEP_LABEL: Final = "step."
RIGHT: Final = "right"
WRONG: Final = "wrong"

#: An event that is ready to be appended: its envelope and its payload.
NewEvent = tuple[Envelope, bytes | None]


class EventContentError(BadInputError):
    """A fact that cannot be stated with these arguments."""


class Scored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A score, its scorer, and how it was computed; function and version of a user's scorer."""

    scorer: str
    score: float
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    function: str | None = None
    version: str | None = None


class Labelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label and its value; None removes the label."""

    label: str
    value: str | None


class Superseded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The trace that supersedes this one."""

    by: Digest
    reason: str | None = None


class Withdrawn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Why a trace was retracted, reinstated or redacted."""

    reason: str | None = None


def recorded(trace: Digest, payload: bytes, recorded_at: str | None = None) -> NewEvent:
    """Return the event of recording a trace."""
    return Envelope(type=RECORDED, payload=trace, recorded_at=recorded_at), payload


def scored(trace: Digest, score: Score | CustomScore, recorded_at: str | None = None) -> NewEvent:
    """Return the event of scoring a trace."""
    content = msgspec.convert(msgspec.to_builtins(score), Scored)
    return _about(SCORED, trace, content, recorded_at)


def labelled(
    trace: Digest, label: str, value: str | None, recorded_at: str | None = None
) -> NewEvent:
    """Return the event of labelling a trace, or of removing a label.

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
    """Return the event of superseding a trace by another one.

    Raises:
        EventContentError: It is the same trace.
    """
    if trace == by:
        raise EventContentError(f"The trace {trace} cannot supersede itself.")
    return _about(SUPERSEDED, trace, Superseded(by, reason), recorded_at)


def retracted(trace: Digest, reason: str | None = None, recorded_at: str | None = None) -> NewEvent:
    """Return the event of retracting a trace: no dataset selects it any more."""
    return _about(RETRACTED, trace, Withdrawn(reason), recorded_at)


def reinstated(
    trace: Digest, reason: str | None = None, recorded_at: str | None = None
) -> NewEvent:
    """A trace is no longer retracted or superseded: datasets select it again."""
    return _about(REINSTATED, trace, Withdrawn(reason), recorded_at)


def redacted(trace: Digest, reason: str | None = None, recorded_at: str | None = None) -> NewEvent:
    """Return the event of redacting a trace; the reason stays permanently and must not quote it."""
    return _about(REDACTED, trace, Withdrawn(reason), recorded_at)


def _about(
    event_type: str, trace: Digest, content: msgspec.Struct, recorded_at: str | None
) -> NewEvent:
    payload = encode(content)
    envelope = Envelope(
        type=event_type, payload=digest_bytes(payload), trace=trace, recorded_at=recorded_at
    )
    return envelope, payload
