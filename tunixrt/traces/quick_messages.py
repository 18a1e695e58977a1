"""Reads a line of plain messages in one pass, if the strict reader is certain to agree.

Most chat files have turns of role and content and nothing else. Here the typed decoder checks the
fields as it reads, and the canonical payload is what it read between two constant texts. Whatever
else a line holds is left to the strict reader. A property test checks the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from tunixrt.traces.conversation import CONVERSATION_VERSION, MAX_MESSAGES, MAX_TEXT
from tunixrt.traces.schema import trace_id

if TYPE_CHECKING:
    from tunixrt.traces.quick_reading import QuickAnswer

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Text
    role: Literal["system", "user", "assistant"]


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[_Turn], msgspec.Meta(min_length=2, max_length=MAX_MESSAGES)]


_decode = msgspec.json.Decoder(_Chat).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_END: Final = f',"meta":{{}},"trace_version":"{CONVERSATION_VERSION}"}}'.encode()
#: The end of every tag of reasoning; a text with one may begin with it.
_TAG: Final = b"think>"


def quick_messages(line: bytes) -> QuickAnswer | None:
    """Return payload, id and number of steps (0) of a chat; None if the strict reader must."""
    if b"\\u0022" in line or len(line) > MAX_TEXT:
        return None
    try:
        chat = _decode(line)
        data = _encode(chat)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    # A duplicate key is read once, and so loses its quotation marks.
    if _TAG in data or not _alternate(chat.messages) or data.count(b'"') != line.count(b'"'):
        return None
    payload = data[:-1] + _END
    return payload, trace_id(payload), 0


def _alternate(messages: list[_Turn]) -> bool:
    """Return whether user and assistant speak in turn, after a system message or without one."""
    expected = "user"
    first = 1 if messages[0].role == "system" else 0
    for message in messages[first:]:
        if message.role != expected:
            return False
        expected = "assistant" if expected == "user" else "user"
    return len(messages) > first + 1
