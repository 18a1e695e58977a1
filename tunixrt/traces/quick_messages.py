"""Reads a line of plain messages in one pass, if the strict reader is certain to agree.

Most chat files have turns of role, content and perhaps reasoning, and columns that are metadata.
Here the typed decoder checks the fields as it reads, and the proof that nothing was lost is made on
bytes. Whatever else a line holds is left to the strict reader. A property test checks the two
against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tunixrt.log.canonical import MAX_INTEGER, CanonicalError
from tunixrt.traces.conversation import CONVERSATION_VERSION, MAX_MESSAGES, MAX_TEXT
from tunixrt.traces.schema import encode_around, trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.traces.quick_reading import QuickAnswer

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Role = Literal["system", "user", "assistant"]
_Thought = str | UnsetType | None
_Null = UnsetType | None


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Text
    role: _Role


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[_Turn], msgspec.Meta(min_length=2, max_length=MAX_MESSAGES)]


class _WideTurn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A turn that may have reasoning; tables fill the fields that it has not with nulls."""

    content: str
    role: _Role
    reasoning_content: _Thought = UNSET
    reasoning: _Thought = UNSET
    thinking: _Thought = UNSET
    tool_calls: _Null = UNSET
    tool_call_id: _Null = UNSET
    name: _Null = UNSET


_WideTurns = Annotated[list[_WideTurn], msgspec.Meta(min_length=2, max_length=MAX_MESSAGES)]


class _Message(msgspec.Struct, gc=False):
    content: str
    role: _Role
    reasoning: str | UnsetType = UNSET


class _Conversation(msgspec.Struct, gc=False):
    messages: list[_Message]
    meta: dict[str, Any]
    trace_version: str = CONVERSATION_VERSION


_decode = msgspec.json.Decoder(_Chat).decode
_decode_columns = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_turns = msgspec.json.Decoder(_WideTurns).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode
_END: Final = f',"meta":{{}},"trace_version":"{CONVERSATION_VERSION}"}}'.encode()
#: The quotation marks of what a payload has and a chat has not: "meta", "trace_version", "1.1".
_N_ADDED: Final = 6
#: The end of every tag of reasoning; a text with one may begin with it.
_TAG: Final = b"think>"
_NULL: Final = b"null"
#: Columns that are not metadata, or that may be refused.
_SPECIAL: Final = frozenset(
    {
        "tools", "functions", "system", "final_answer", "meta", "message_fields", "contents",
        "images", "image", "audios", "audio", "videos", "video",
    }
)  # fmt: skip


def quick_messages(line: bytes) -> QuickAnswer | None:
    """Return payload, id and number of steps of a chat; None if the strict reader must."""
    if b"\\u0022" in line or len(line) > MAX_TEXT:
        return None
    try:
        chat = _decode(line)
        data = _encode(chat)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _wide(line)
    # A duplicate key is read once, and so loses its quotation marks.
    if _TAG in data or not _alternate(chat.messages) or data.count(b'"') != line.count(b'"'):
        return None
    payload = data[:-1] + _END
    return payload, trace_id(payload), 0


def _wide(line: bytes) -> QuickAnswer | None:
    """Return the answer for a chat with reasoning or with columns."""
    try:
        columns = _decode_columns(line)
        turns = _decode_turns(columns.pop("messages", b""))
        meta = {name: _decode_any(raw) for name, raw in columns.items() if bytes(raw) != _NULL}
        if not (_SPECIAL.isdisjoint(meta) and _alternate(turns)):
            return None
        n_lost = 2 * (len(columns) - len(meta))
        n_steps, messages = 0, []
        for turn in turns:
            thought, n_quotes = _thought(turn)
            n_lost += n_quotes
            if thought:
                n_steps += sum(1 for part in thought.split("\n") if part.strip())
            messages.append(_Message(turn.content, turn.role, thought or UNSET))
        payload = _payload(_Conversation(messages, meta))
    except (msgspec.MsgspecError, CanonicalError, ValueError, RecursionError):
        return None
    if _TAG in payload or payload.count(b'"') - _N_ADDED + n_lost != line.count(b'"'):
        return None
    return payload, trace_id(payload), n_steps


def _payload(conversation: _Conversation) -> bytes:
    """Return the canonical payload of a conversation.

    Raises:
        CanonicalError: A column holds something that canonical JSON cannot say.
    """
    meta = conversation.meta
    for value in meta.values():
        kind = type(value)
        if kind is not str and (kind is not int or abs(value) > MAX_INTEGER):
            return encode_around(meta, conversation)
    # Numbers and texts alone: msgspec's bytes are RFC 8785's, if the order of the keys is.
    data = _encode(conversation)
    return data if len(meta) < 2 or data.isascii() else encode_around(meta, conversation)


def _thought(turn: _WideTurn) -> tuple[str, int]:
    """Return the reasoning of a turn, and how many quotation marks the payload will lack.

    Raises:
        ValueError: The strict reader must decide.
    """
    thought, n_lost = "", 0
    for value in (turn.reasoning_content, turn.reasoning, turn.thinking):
        if value is None:
            n_lost += 2
        elif value is not UNSET:
            if value == "":
                n_lost += 4
            elif thought or not value.strip() or turn.role != "assistant":
                raise ValueError(value)
            else:
                thought = value
    for empty in (turn.tool_calls, turn.tool_call_id, turn.name):
        n_lost += 2 * (empty is None)
    if not (turn.content or thought):
        raise ValueError(turn.role)
    return thought, n_lost


def _alternate(messages: Sequence[_Turn | _WideTurn]) -> bool:
    """Return whether user and assistant speak in turn, after a system message or without one."""
    expected = "user"
    first = 1 if messages[0].role == "system" else 0
    for message in messages[first:]:
        if message.role != expected:
            return False
        expected = "assistant" if expected == "user" else "user"
    return len(messages) > first + 1
