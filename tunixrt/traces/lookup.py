"""Finds a trace by a prefix of its id, as Git finds commits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tunixrt.errors import BadInputError
from tunixrt.words import quoted

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest
    from tunixrt.traces.state import Projection, TraceState

#: Fewer digits would be ambiguous in most stores.
MIN_PREFIX_DIGITS: Final = 6

_HEX: Final = re.compile(r"[0-9a-f]{1,64}")
_SHOWN: Final = 10


class TraceLookupError(BadInputError):
    """No trace, or more than one, has this prefix. ``candidates`` are those found, at most ten."""

    def __init__(self, sentence: str, prefix: str, candidates: tuple[Digest, ...] = ()) -> None:
        super().__init__(sentence)
        self.prefix = prefix
        self.candidates = candidates


def find_trace(projection: Projection, prefix: str) -> TraceState:
    """Return the trace whose id begins with this prefix, in any state.

    Args:
        projection: Where to look.
        prefix: At least 6 hex digits of the id, with or without ``sha256:``.

    Raises:
        TraceLookupError: The prefix is invalid, or no trace or several traces have it.
    """
    digits = prefix.lower().removeprefix("sha256:")
    if not _HEX.fullmatch(digits):
        raise TraceLookupError(
            f"{quoted(prefix)} is not the beginning of a trace id: expected at least "
            f"{MIN_PREFIX_DIGITS} hexadecimal digits.",
            prefix,
        )
    if len(digits) < MIN_PREFIX_DIGITS:
        raise TraceLookupError(
            f"The prefix {quoted(prefix)} has {len(digits)} hexadecimal digits; at least "
            f"{MIN_PREFIX_DIGITS} are needed to name a trace.",
            prefix,
        )
    low, high = bytes.fromhex(digits.ljust(64, "0")), bytes.fromhex(digits.ljust(64, "f"))
    found = projection.ids_between(low, high, _SHOWN)
    if len(found) > 1:
        listed = ", ".join(found)
        more = " and perhaps more" if len(found) == _SHOWN else ""
        raise TraceLookupError(
            f"The prefix {quoted(prefix)} is that of several traces: {listed}{more}. Give more "
            "digits.",
            prefix,
            tuple(found),
        )
    state = projection.get(found[0]) if found else None
    if state is None:
        raise TraceLookupError(f"There is no trace whose id begins with {quoted(prefix)}.", prefix)
    return state
