"""A conversation in the making: messages, and the places of the record that they come from."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.traces.conversation import CONVERSATION_VERSION, Role, conversation_of
from tunixrt.traces.importers.reading import Read, refuse_two
from tunixrt.traces.violations import TraceError, wrong
from tunixrt.words import quoted

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Note

#: The metadata that holds the fields of messages which the schema does not know, by the index of
#: the message.
MESSAGE_FIELDS: Final = "message_fields"
_INDEX: Final = re.compile(r"\bmessages\[(\d+)\]")


class Draft:
    """Messages that are read one after the other, and what was noted about them."""

    def __init__(self) -> None:
        """Begin without messages."""
        self._messages: list[dict[str, Any]] = []
        self._places: list[str] = []
        self._notes: list[Note] = []
        self._extra: dict[str, dict[str, Any]] = {}

    def note(self, *notes: Note) -> None:
        """Note what was done to the record."""
        self._notes += notes

    def add(
        self,
        role: Role,
        content: str,
        *,
        place: str,
        fields: dict[str, Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Add a message.

        Args:
            role: Who wrote it.
            content: Its text.
            place: Where it is in the record, for messages about it.
            fields: The optional fields of the schema that it has.
            extra: Fields that the schema does not know; they become metadata.
        """
        if extra:
            self._extra[str(len(self._messages))] = extra
        self._messages.append({"role": role.value, "content": content, **(fields or {})})
        self._places.append(place)

    def add_system(self, content: str, *, place: str) -> None:
        """Add the system message that a field of the record holds, if it is not empty."""
        if content:
            self.add(Role.SYSTEM, content, place=place)

    @property
    def last(self) -> dict[str, Any] | None:
        """The last message, which may be changed; None before the first."""
        return self._messages[-1] if self._messages else None

    def done(
        self,
        meta: dict[str, Any],
        *,
        tools: list[dict[str, Any]] | None = None,
        final_answer: str = "",
    ) -> Read:
        """Return the conversation, checked.

        Args:
            meta: The metadata of the record.
            tools: The tools that may be called.
            final_answer: The answer, if it is stated apart from the messages.

        Raises:
            TraceError: It is not a conversation; the message names the place in the record.
        """
        self._check_order()
        value: dict[str, Any] = {
            "trace_version": CONVERSATION_VERSION,
            "messages": self._messages,
            "meta": meta,
        }
        if self._extra:
            if MESSAGE_FIELDS in meta:
                refuse_two(MESSAGE_FIELDS, "the fields of its messages that become metadata")
            value["meta"] = {**meta, MESSAGE_FIELDS: self._extra}
        if tools:
            value["tools"] = tools
        if final_answer:
            value["final_answer"] = final_answer
        try:
            return Read(conversation_of(value), tuple(self._notes))
        except TraceError as error:
            found = error.violation
            raise TraceError(
                msgspec.structs.replace(
                    found,
                    field=found.field and self._placed(found.field),
                    sentence=self._placed(found.sentence),
                )
            ) from None

    def _placed(self, text: str) -> str:
        """Return a text about numbered messages as one about their places in the record."""
        return _INDEX.sub(lambda match: self._places[int(match[1])], text)

    def _check_order(self) -> None:
        """Refuse a second system message, and two turns of one role in a row.

        Raises:
            TraceError: The message names both places.
        """
        roles = [message["role"] for message in self._messages]
        for position, (before, role) in enumerate(itertools.pairwise(roles)):
            if role == before and role != Role.TOOL:
                expected = f"of another role than {quoted(self._places[position])}"
                found = f"a second {role} message in a row"
                raise TraceError(wrong(self._places[position + 1], expected, found))
