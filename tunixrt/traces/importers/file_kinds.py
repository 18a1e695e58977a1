"""Recognises the kind of an input file by its first bytes.

Text is UTF-8, and may begin with a byte order mark, which is skipped. Everything else gets
one sentence that names the kind of the file and the command that converts it.
"""

from __future__ import annotations

import json
import re
import shlex
from enum import Enum
from typing import Final

from tunixrt.errors import BadInputError

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

JSON_LINES: Final = "JSON Lines"

#: What a user's file of records may be; messages add that text is UTF-8.
RECORDS: Final = "Parquet, Arrow, or JSON Lines, a JSON array or CSV"

#: The name of standard input in messages; commands cannot use it as a path.
STDIN: Final = "stdin"


class UnreadableFileError(BadInputError):
    """A file that cannot be read as records.

    Attributes:
        name: the file, as messages call it.
        line: the line that shows it, from 1; None if no line does.
    """

    def __init__(self, name: str, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence)
        self.name = name
        self.line = line


class NoRecordsError(UnreadableFileError):
    """A file without a record."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name, f"The file {name} holds no records: it is empty or has only blank lines."
        )


class FileKindError(UnreadableFileError):
    """A file of another kind than expected."""

    def __init__(self, name: str, expected: str, kind: str, cure: str) -> None:
        if name != STDIN:
            cure = cure.replace("FILE", shlex.quote(name))
        sentence = f"The file should be {expected} in UTF-8, but is {kind}. {cure}."
        super().__init__(name, f"{name}, line 1: {sentence}", 1)


_FROM_PARQUET: Final = (
    "Write it as one JSON object per line first; pandas does, with "
    'read_parquet(...).to_json(..., orient="records", lines=True)'
)
#: First bytes, what they mean, and what to do. A longer prefix is listed before a shorter one.
_BINARY: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8 FILE > OUT"),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8 FILE > OUT"),
    (b"\xff\xfe", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > OUT"),
    (b"\xfe\xff", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > OUT"),
    (b"\x1f\x8b", "compressed with gzip", "Decompress it first: gzip -dc FILE > OUT"),
    (b"BZh", "compressed with bzip2", "Decompress it first: bzip2 -dc FILE > OUT"),
    (b"\xfd7zXZ\x00", "compressed with xz", "Decompress it first: xz -dc FILE > OUT"),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed with Zstandard",
        "Decompress it first: zstd -dc FILE > OUT",
    ),
    (b"\x04\x22\x4d\x18", "compressed with LZ4", "Decompress it first: lz4 -dc FILE > OUT"),
    (b"PK\x03\x04", "a ZIP archive", "Unpack it first: unzip FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first: 7z x FILE"),
    (b"PAR1", "Parquet", _FROM_PARQUET),
    (b"PARE", "encrypted Parquet", "Decrypt it first, with the program that wrote it"),
    (b"ARROW1", "Arrow", "Write it as one JSON object per line first"),
    (b"SQLite format 3\x00", "an SQLite database", "Write its rows as one JSON object each first"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS, and the content is elsewhere",
        "Fetch it first: `git lfs pull`",
    ),
)
_TAR: Final = (257, b"ustar")
#: ASCII text in UTF-16 or UTF-32 has zero bytes in its first characters, and UTF-8 text has none.
_WIDE: Final = (
    (re.compile(rb"[^\x00]\x00\x00\x00"), "UTF-32 text", "UTF-32LE"),
    (re.compile(rb"\x00\x00\x00[^\x00]"), "UTF-32 text", "UTF-32BE"),
    (re.compile(rb"[^\x00]\x00"), "UTF-16 text", "UTF-16LE"),
    (re.compile(rb"\x00[^\x00]"), "UTF-16 text", "UTF-16BE"),
)
_BLANK: Final = b" \t\r\n"
_CELL: Final = rb'(?:"[^"\r\n{}]*"|[A-Za-z_][\w .\-]*)'
_CSV_HEADER: Final = re.compile(rb"%s(?:[,;\t]%s)+\r?" % (_CELL, _CELL))


def without_mark(name: str, beginning: bytes, expected: str) -> bytes:
    """Return the first bytes of a text without a byte order mark.

    Args:
        name: The name of the file, for messages.
        beginning: Its first bytes: all of them, or some hundreds.
        expected: What it should be: ``JSON Lines``, ``TOML``.

    Raises:
        FileKindError: It is not UTF-8 text.
    """
    for magic, kind, cure in _BINARY:
        if beginning.startswith(magic):
            raise FileKindError(name, expected, kind, cure)
    place, magic = _TAR
    if beginning[place : place + len(magic)] == magic:
        raise FileKindError(name, expected, "a tar archive", "Unpack it first: tar -xf FILE")
    for pattern, kind, encoding in _WIDE:
        if pattern.match(beginning):
            cure = f"Convert it: iconv -f {encoding} -t UTF-8 FILE > OUT"
            raise FileKindError(name, expected, kind, cure)
    return beginning.removeprefix(BYTE_ORDER_MARK)


class TextKind(Enum):
    """How a text holds its records."""

    LINES = "one JSON object per line"
    ARRAY = "a JSON array"
    VALUES = "JSON spread over several lines"
    TABLE = "a table such as CSV"


def kind_of_text(name: str, beginning: bytes, expected: str) -> TextKind:
    """Return how a text holds its records.

    Faults in single records are left to the reader of the records.

    Args:
        name: The name of the file, for messages.
        beginning: Its first bytes without a byte order mark: all of them, or a mebibyte.
        expected: What it should be, for messages.

    Raises:
        FileKindError: It is HTML or XML, or a JSON document around a list of records.
    """
    text = beginning.lstrip(_BLANK)
    first, _, rest = text.partition(b"\n")
    others = rest.strip(_BLANK)
    if text[:1] == b"[":
        # One list per line is JSON Lines, where each record is wrong by itself.
        return TextKind.LINES if others and _is_json(first) else TextKind.ARRAY
    if text[:1] == b"{":
        # Within an object no line begins with another object: that is the next record.
        if others and others[:1] != b"{" and not _is_json(first):
            return _spread_out(name, text, first, expected)
    elif b"\n{" in text:
        return TextKind.LINES
    elif text[:1] == b"<":
        cure = "If it was downloaded, the address led to a page and not to the file"
        raise FileKindError(name, expected, "HTML or XML", cure)
    elif _CSV_HEADER.fullmatch(first):
        return TextKind.TABLE
    return TextKind.LINES


_CURES: Final = {
    TextKind.ARRAY: "Write one object per line: jq -c '.[]' FILE > OUT",
    TextKind.VALUES: "Write one object per line: jq -c . FILE > OUT",
    TextKind.TABLE: "Write each of its rows as a JSON object first",
}


def check_json_lines(name: str, beginning: bytes) -> None:
    """Refuse text that is clearly not one JSON object per line.

    Args:
        name: The name of the file, for messages.
        beginning: Its first bytes without a byte order mark: all of them, or a mebibyte.

    Raises:
        FileKindError: It holds its records in another way, or is HTML or XML.
    """
    kind = kind_of_text(name, beginning, JSON_LINES)
    if kind is not TextKind.LINES:
        raise FileKindError(name, JSON_LINES, kind.value, _CURES[kind])


def _spread_out(name: str, text: bytes, first: bytes, expected: str) -> TextKind:
    """Return the kind of a text that begins with an object over several lines.

    Raises:
        FileKindError: The object has a list of records.
    """
    try:
        value, _ = json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        if first.strip(_BLANK) != b"{":
            return TextKind.LINES
        value = {}
    cure = cure_of_document(value)
    if cure:
        raise FileKindError(name, expected, "a JSON document with a list of records", cure)
    return TextKind.VALUES


def cure_of_document(value: dict[str, object]) -> str:
    """Return how to write the records of a document that has a list of them; else nothing."""
    lists = [k for k, v in value.items() if isinstance(v, list) and _has_objects(v)]
    if len(lists) != 1 or len(value) >= _FEW or lists[0] in _LISTS_OF_A_RECORD:
        return ""
    records = shlex.quote(f".{json.dumps(lists[0])}[]")
    return f"Write one object per line: jq -c {records} FILE > OUT"


#: Lists of objects that records have themselves.
_LISTS_OF_A_RECORD: Final = frozenset(
    {"contents", "conversation", "conversations", "messages", "steps", "tools"}
)
#: A document around a list of records has few other fields; a trace has a list of steps and five.
_FEW: Final = 3


def _has_objects(values: list[object]) -> bool:
    return bool(values) and all(isinstance(item, dict) for item in values)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
