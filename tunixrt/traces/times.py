"""Times are inputs, never read from the clock: RFC 3339, in UTC, or absent."""

from __future__ import annotations

from tunixrt.errors import BadInputError
from tunixrt.log.segment.events import is_time
from tunixrt.words import quoted


class TimeError(BadInputError):
    """A text that is not a time in UTC."""


def check_utc(text: str, what: str) -> str:
    """Return the time, if it is one: ``2026-11-24T12:00:00Z``, with up to six decimals or without.

    Raises:
        TimeError: It is not, or the day or hour does not exist.
    """
    if not is_time(text):
        raise TimeError(
            f"The {what} {quoted(text)} should be a time in UTC as RFC 3339 writes it, such as "
            "2026-11-24T12:00:00Z."
        )
    return text
