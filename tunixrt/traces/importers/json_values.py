"""Splits a JSON array, or JSON values one after the other, into the bytes of each value.

One pass over the bytes with memory for one value: only strings and brackets are looked at, and
whether a value is JSON is left to its reader, which has the messages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.lines import MAX_LINE_BYTES, Chunk
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.importers.compressed import Readable

_CHUNK_BYTES: Final = 1024 * 1024
_SHOWN: Final = 20
#: Far beyond what a reader accepts; a text of brackets alone would take a minute.
_MAX_DEPTH: Final = 10_000

# Possessive, so that nothing is tried twice: one pass, however long the text is.
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_TO_BRACKET: Final = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+[\[\]{}]", re.DOTALL)
#: A list or an object with up to five more levels of brackets in it: nearly every record. As in the
#: loop for deeper ones, brackets are counted, and whether they fit is left to the reader.
_SHALLOW: Final = re.compile(
    rb"[\[{](?:[^\"\[\]{}]++|"
    + (_STRING + rb"|[\[{](?:[^\"\[\]{}]++|") * 5
    + _STRING
    + rb")*+[\]}]" * 6,
    re.DOTALL,
)
_WHOLE_STRING: Final = re.compile(_STRING, re.DOTALL)
#: A number, a literal, or what should be one, and one byte that shows that it is complete.
_SCALAR: Final = re.compile(rb'[^\s,\[\]{}"]+(?=[\s,\[\]{}"])|[,\]}]')
_BLANKS: Final = re.compile(rb"[ \t\r\n]*")


def array_elements(name: str, stream: Readable) -> Iterator[Chunk]:
    """Yield the elements of the array that a text is, in groups of about a mebibyte.

    Raises:
        UnreadableFileError: The array is cut off, or its elements are not separated by commas, or
            something follows it, or an element is longer than 64 MiB.
    """
    return _grouped(_elements(_Text(name, stream)))


def successive_values(name: str, stream: Readable) -> Iterator[Chunk]:
    """Yield JSON values that follow one another, each over any number of lines.

    Raises:
        UnreadableFileError: The last value is cut off, or one is longer than 64 MiB, or there is
            something between two values.
    """
    return _grouped(_values(_Text(name, stream)))


def _elements(text: _Text) -> Iterator[bytes]:
    text.skip_blanks()
    text.take(b"[")
    text.skip_blanks()
    if text.peek() != b"]":
        while True:
            yield text.value()
            text.skip_blanks()
            if text.peek() == b"]":
                break
            if text.peek() == b"":
                raise text.error("The file ends before the ] of its array: it is cut off")
            if text.peek() != b",":
                raise text.error(f"A comma or ] should follow the record, but found {text.shown()}")
            text.take(b",")
            text.skip_blanks()
    text.take(b"]")
    text.skip_blanks()
    if text.peek():
        raise text.error(f"The file should end after the array, but continues with {text.shown()}")


def _values(text: _Text) -> Iterator[bytes]:
    text.skip_blanks()
    while text.peek():
        yield text.value()
        text.skip_blanks()


def _grouped(values: Iterator[bytes]) -> Iterator[Chunk]:
    chunk, n_bytes = Chunk(1, []), 0
    for value in values:
        chunk.records.append(value)
        n_bytes += len(value)
        if n_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, n_bytes = Chunk(chunk.first + len(chunk.records), []), 0
    if chunk.records:
        yield chunk


class _Text:
    """A place in a text; what is before it is forgotten."""

    def __init__(self, name: str, stream: Readable) -> None:
        self._name, self._stream = name, stream
        self._data, self._place = b"", 0
        self._n_values = 0

    def peek(self) -> bytes:
        """Return the next byte; empty at the end."""
        if self._place == len(self._data):
            self._more()
        return self._data[self._place : self._place + 1]

    def take(self, byte: bytes) -> None:
        """Pass over a byte that was seen."""
        self._place += len(byte)

    def skip_blanks(self) -> None:
        """Pass over white space."""
        while self.peek():
            match = _BLANKS.match(self._data, self._place)
            self._place = self._place if match is None else match.end()
            if self._place < len(self._data):
                return

    def value(self) -> bytes:
        """Return the next value and pass over it.

        Raises:
            UnreadableFileError: It is cut off or too long, or is not a value at all.
        """
        self._n_values += 1
        first = self.peek()
        if first in (b"{", b"["):
            whole = _SHALLOW.match(self._data, self._place)
            end = self._end_of_nested() if whole is None else whole.end()
        else:
            end = self._end_of(_WHOLE_STRING if first == b'"' else _SCALAR, self._place)
        value = self._data[self._place : end]
        if value in (b",", b"]", b"}"):
            raise self.error(f"A record was expected, but found {self.shown()}")
        if len(value) > MAX_LINE_BYTES:
            raise self._too_long()
        self._place = end
        return value

    def shown(self) -> str:
        """Return the next characters, for a message."""
        data = self._data[self._place : self._place + _SHOWN]
        return quoted(data.decode("utf-8", "replace"))

    def error(self, problem: str) -> UnreadableFileError:
        """Return an error that names the last value."""
        number = self._n_values
        place = f"{self._name}, record {number}" if number else self._name
        return UnreadableFileError(self._name, f"{place}: {problem}.", number or None)

    def _end_of_nested(self) -> int:
        depth, place = 0, self._place
        while True:
            place = self._end_of(_TO_BRACKET, place)
            depth += 1 if self._data[place - 1] in b"[{" else -1
            if depth == 0:
                return place
            if depth > _MAX_DEPTH:
                raise self.error(f"The record has more than {_MAX_DEPTH:,} brackets open at once")

    def _end_of(self, pattern: re.Pattern[bytes], start: int) -> int:
        """Return where a match from ``start`` ends; reads on until there is one.

        Reading moves the text to the beginning of the buffer, so that ``start`` moves with it.
        """
        ahead = start - self._place
        while (match := pattern.match(self._data, self._place + ahead)) is None:
            if len(self._data) - self._place > MAX_LINE_BYTES:
                raise self._too_long()
            if not self._more():
                if pattern is _SCALAR:
                    return len(self._data)
                raise self.error("The file ends in the middle of the record: it is cut off")
        return match.end()

    def _more(self) -> bool:
        """Read on, twice as far where a value is long, so that the whole takes linear time."""
        pieces = [self._data[self._place :]]
        wanted = max(_CHUNK_BYTES, len(pieces[0]))
        while wanted > 0 and (data := self._stream.read(wanted)):
            pieces.append(data)
            wanted -= len(data)
        self._data, self._place = b"".join(pieces), 0
        return len(pieces) > 1

    def _too_long(self) -> UnreadableFileError:
        return self.error(f"The record is longer than {MAX_LINE_BYTES:,} bytes (64 MiB)")
