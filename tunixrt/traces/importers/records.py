"""What a reader of files yields: traces, records that are not traces, what was dropped or noted."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tunixrt.log.digests import Digest
from tunixrt.traces.importers.containers import Unit
from tunixrt.traces.importers.lines import on_one_line


class DropReason(StrEnum):
    """Why something in a file was left out without the record being wrong."""

    BLANK_LINE = "blank line between records"
    BLANK_STEP = "blank line in an answer"


class ImportedTrace(msgspec.Struct, frozen=True, gc=False):
    """A trace that was read: its canonical payload, its id, and its place in the file.

    ``recorded_at`` is the time of its first recording, if the record states it.
    """

    payload: bytes
    id: Digest
    n_steps: int
    file: str
    line: int
    recorded_at: str | None = None
    unit: str = Unit.LINE


class Rejection(msgspec.Struct, frozen=True):
    """A record that is not a trace; ``line`` is its number, counted in ``unit``.

    ``raw`` is its line without the line feed, its text in a JSON array, or its row as JSON.
    """

    file: str
    line: int
    reason: str
    raw: bytes
    field: str | None = None
    column: int | None = None
    unit: str = Unit.LINE

    def __str__(self) -> str:
        """Return where the record is and what is wrong with it, as one sentence."""
        return f"{self.file}, {self.unit} {self.line}: {self.reason}"

    def as_line(self) -> bytes:
        """Return the record of a rejects file: one JSON object and a line feed.

        ``raw`` is the record as text if it is valid UTF-8; else ``raw_base64`` holds its bytes.
        """
        fields: dict[str, object] = {
            "column": self.column,
            "field": self.field,
            "file": self.file,
            "line": self.line,
            "reason": self.reason,
            "unit": self.unit,
        }
        try:
            fields["raw"] = self.raw.decode()
        except UnicodeDecodeError:
            fields["raw_base64"] = self.raw
        return on_one_line(msgspec.json.encode(fields, order="sorted")) + b"\n"


class Dropped(msgspec.Struct, frozen=True):
    """Something that was left out, and the reason."""

    file: str
    line: int
    reason: str
    unit: str = Unit.LINE


class Noted(msgspec.Struct, frozen=True):
    """What a reader did to a record that it kept; a `Note` of :mod:`.reading`."""

    file: str
    line: int
    reason: str
    unit: str = Unit.LINE


Record = ImportedTrace | Rejection | Dropped | Noted
