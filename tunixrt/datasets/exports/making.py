"""Makes the rows of an export from the payloads of its members, and the lines of rows.

A row depends on nothing else, so another process can make it
(:mod:`tunixrt.datasets.exports.second_maker`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tunixrt.datasets.exports.formats import ExportReport
from tunixrt.datasets.exports.quick import quick_line, quick_writer
from tunixrt.datasets.exports.rows import Member, Row, has_template_text, row_of
from tunixrt.datasets.reading import OmitReason
from tunixrt.log.canonical import encode
from tunixrt.log.digests import from_hex
from tunixrt.traces.importers.lines import on_one_line
from tunixrt.traces.schema import parse_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.datasets.exports.formats import RowSettings
    from tunixrt.datasets.recipes import Split
    from tunixrt.log.digests import Digest

#: A row as its line, which may hold line breaks of Unicode, or as a struct.
QuickRow = bytes | msgspec.Struct

#: `Counts` as plain values: rows, omitted, and the three other numbers in their order.
Plain = tuple[int, dict[str, int], int, int, int]


class Question(NamedTuple):
    """What decides the rows of some members, beside the settings: one entry per member."""

    payloads: list[bytes]
    traces: list[Digest]
    splits: list[Split]
    times: list[str | None]


class Counts:
    """What is counted while rows are written.

    Attributes:
        rows: how many there are.
        omitted: members without a row, by reason.
        n_with_template_text: see `ExportReport`.
        n_with_masked_turns: see `ExportReport`.
        n_cut: see `ExportReport`.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.omitted: Counter[str] = Counter()
        self.n_with_template_text = 0
        self.n_with_masked_turns = 0
        self.n_cut = 0

    def count(self, row: Row) -> None:
        """Count a row that was built, or its omission."""
        if isinstance(row.value, OmitReason):
            self.omitted[row.value] += 1
            return
        self.rows += 1
        self.n_with_masked_turns += row.has_masked_turns
        self.n_cut += row.is_cut

    def add(self, found: Plain) -> None:
        """Add what `plain` returned in another process."""
        rows, omitted, n_with_template_text, n_with_masked_turns, n_cut = found
        self.rows += rows
        self.omitted.update(omitted)
        self.n_with_template_text += n_with_template_text
        self.n_with_masked_turns += n_with_masked_turns
        self.n_cut += n_cut

    def plain(self) -> Plain:
        """Return the counts as plain values."""
        omitted = {str(reason): n for reason, n in self.omitted.items()}
        others = (self.n_with_template_text, self.n_with_masked_turns, self.n_cut)
        return (self.rows, omitted, *others)

    def report(self, settings: RowSettings, sha256: str) -> ExportReport:
        """Return the report for an export with this digest in hex."""
        return ExportReport(
            format=settings.format,
            rows=self.rows,
            sha256=from_hex(sha256),
            omitted=dict(sorted(self.omitted.items())),
            n_with_template_text=self.n_with_template_text,
            n_with_masked_turns=self.n_with_masked_turns,
            n_cut=self.n_cut,
        )


class RowMaker:
    """Makes the rows of one export."""

    def __init__(self, settings: RowSettings, counts: Counts, *, with_tools: bool) -> None:
        """Bind the settings.

        Args:
            settings: of the export.
            counts: counts every row; it may be replaced.
            with_tools: whether rows of messages have the column ``tools``.
        """
        self.counts = counts
        self._settings = settings
        self._with_tools = with_tools
        self._quick = quick_writer(settings, with_tools=with_tools)

    def rows(self, question: Question) -> list[QuickRow]:
        """Return the rows of some members, in their order; members may be omitted."""
        made: list[QuickRow] = []
        quick = self._quick
        for payload, trace, split, time in zip(*question, strict=True):
            row = None if quick is None else quick(payload, trace, split, time)
            if row is None:
                built = self.built(Member(trace, parse_payload(payload), split, time, {}))
                if built is None:
                    continue
                made.append(built)
            else:
                made.append(row)
            if b"_of_turn>" in payload or b"<bos>" in payload:  # parts of every special token
                self.counts.n_with_template_text += has_template_text(parse_payload(payload))
        self.counts.rows += len(made)
        return made

    def built(self, member: Member) -> bytes | None:
        """Return the line of a member, built as a plain value; None if it is omitted."""
        row = row_of(member, self._settings, with_tools=self._with_tools)
        if isinstance(row.value, OmitReason):
            self.counts.omitted[row.value] += 1
            return None
        self.counts.n_with_masked_turns += row.has_masked_turns
        self.counts.n_cut += row.is_cut
        return encode(row.value)


def line_of(row: dict[str, object]) -> bytes:
    """Return the line of a row, without its line feed."""
    return on_one_line(encode(row))


def lines_of(batch: Sequence[QuickRow]) -> list[bytes]:
    """Return the lines of rows, with the line breaks of Unicode escaped."""
    lines = [row if isinstance(row, bytes) else quick_line(row) for row in batch]
    return [line if line.isascii() else on_one_line(line) for line in lines]
