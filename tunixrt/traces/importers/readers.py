"""The table of readers: what a record of each format is, read strictly and one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.importers.atif import read_atif
from tunixrt.traces.importers.flat import read_alpaca, read_prompt_completion, read_think
from tunixrt.traces.importers.gsm8k import read_gsm8k
from tunixrt.traces.importers.messages import read_messages
from tunixrt.traces.importers.reading import LeftOut
from tunixrt.traces.importers.sharegpt import read_sharegpt
from tunixrt.traces.quick_messages import quick_messages
from tunixrt.traces.quick_reading import quick_answer
from tunixrt.traces.schema import payload_of, trace_id
from tunixrt.traces.views import n_steps_of
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunixrt.traces.importers.reading import Reader
    from tunixrt.traces.quick_reading import QuickAnswer, QuickReader

READERS: Final[Mapping[str, Reader]] = {
    "messages": read_messages,
    "sharegpt": read_sharegpt,
    "alpaca": read_alpaca,
    "prompt-completion": read_prompt_completion,
    "think": read_think,
    "atif": read_atif,
    "gsm8k": read_gsm8k,
}
"""The formats whose records are read without options and without a look at other records."""

QUICK: Final[Mapping[str, QuickReader]] = {"messages": quick_messages, "tunixrt": quick_answer}
"""Readers in one pass, which leave what they are not certain of to the strict ones."""


def without_remarks(reader: Reader) -> QuickReader:
    """Return a reader that leaves to others what is wrong, and what there is something to say of.

    Args:
        reader: The strict reader of a format.
    """

    def read(line: bytes) -> QuickAnswer | None:
        try:
            found = reader(decode(line))
            if isinstance(found, LeftOut) or found.notes or found.more or found.n_blank:
                return None
            payload = payload_of(found.trace)
        except (CanonicalError, TraceError):
            return None
        return payload, trace_id(payload), n_steps_of(found.trace)

    return read


def in_background(source_format: str) -> QuickReader | None:
    """Return what a second process reads the lines of a format with; None if it cannot."""
    quick = QUICK.get(source_format)
    if source_format not in READERS:
        return quick
    strict = without_remarks(READERS[source_format])
    return strict if quick is None else lambda line: quick(line) or strict(line)
