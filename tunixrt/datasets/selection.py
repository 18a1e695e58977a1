"""Selects traces by a recipe, with their splits and statistics.

The candidates are kept in a private table on disk, so memory does not grow with their number.
"""

from __future__ import annotations

import weakref
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from tunixrt.datasets.expressions.fields import MISSING, Subject, n_chars, reader_of
from tunixrt.datasets.expressions.parsing import parse_expression, parse_field
from tunixrt.datasets.matching import Matcher
from tunixrt.datasets.recipes import RecipeError, SelectionStrategy, Split, Splitter, sample_key
from tunixrt.log.canonical import decode_canonical, encode
from tunixrt.log.digests import Digest, from_raw, raw_of
from tunixrt.traces.payloads import read_in_order
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.spill import spill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunixrt.datasets.recipes import Recipe
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.state import Projection

#: How many values of a field are counted for a stratified split.
MAX_STRATA: Final = 1_000
_BUFFERED: Final = 2_000


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member of a dataset; its canonical JSON is a line of a member file."""

    trace: Digest
    split: Split


class DatasetStats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps per trace, and characters of prompt, steps and final answer together.

    Averages are exact fractions, rounded once to two decimals (half to even).
    """

    avg_step_count: float
    min_step_count: int
    max_step_count: int
    avg_total_chars: float


class Stratum(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the members with one value of the stratifying field are split.

    ``value`` is its JSON value; absent for the members that lack the field.
    """

    split_counts: dict[str, int]
    value: Any = UNSET


class Selection:
    """The selected traces: iterate for the members in ascending order of their ids."""

    def __init__(self, recipe: Recipe) -> None:
        self._database = spill()
        self.close = weakref.finalize(self, self._database.close)
        self._database.execute(
            "CREATE TABLE members (place INTEGER PRIMARY KEY, id BLOB, key BLOB, split TEXT,"
            " n_steps INTEGER, n_chars INTEGER, stratum TEXT)"
        )
        self._database.execute("BEGIN")
        self._recipe = recipe
        self._is_random = recipe.selection_strategy is SelectionStrategy.RANDOM
        self._split_of = Splitter(recipe).split_of
        self._group = _reader(recipe.group_by)
        self._stratum = _reader(recipe.stratify)
        self._strata: set[str] = set()
        self._rows: list[tuple[object, ...]] = []

    def add(self, subject: Subject) -> None:
        """Add a candidate that matches the recipe."""
        state, flat = subject.state, subject.flat
        group = None if self._group is None else self._group(subject)
        # A group is named by a value; without one, the prompt decides.
        split = self._split_of(flat.prompt, None if group is MISSING else group)
        stratum = None if self._stratum is None else self._stratum_of(self._stratum(subject))
        facts = (split, len(flat.steps), n_chars(flat), stratum)
        self._rows.append((state.place, raw_of(state.id), self._key(state.id), *facts))
        if len(self._rows) >= _BUFFERED:
            self._flush()

    def add_listed(self, place: int, member: Member) -> None:
        """Add a candidate that cannot be read any more, as a dataset lists it."""
        facts = (member.split, None, None, None)
        self._rows.append((place, raw_of(member.trace), self._key(member.trace), *facts))

    def _key(self, trace: Digest) -> bytes | None:
        return sample_key(self._recipe.seed or 0, trace) if self._is_random else None

    def _stratum_of(self, value: object) -> str | None:
        if value is MISSING:
            return None
        text = encode(value).decode()
        if text not in self._strata:
            self._strata.add(text)
            if len(self._strata) > MAX_STRATA:
                raise RecipeError(
                    f"{self._recipe.stratify} has more than {MAX_STRATA:,} values. Stratify by a "
                    "field with few values, such as a source; --group-by keeps the traces of each "
                    "value in one split."
                )
        return text

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows)
        self._rows.clear()

    def cut(self) -> None:
        """Apply the recipe's limit."""
        self._flush()
        if self._recipe.limit is None:
            return
        order = {
            SelectionStrategy.LATEST: "place DESC",
            SelectionStrategy.RANDOM: "key, id",
        }[self._recipe.selection_strategy]
        self._database.execute(
            "DELETE FROM members WHERE place NOT IN"  # noqa: S608 - one of two constants
            f" (SELECT place FROM members ORDER BY {order} LIMIT ?)",
            (self._recipe.limit,),
        )

    def lines(self) -> Iterator[bytes]:
        """Yield the member lines, without line feeds, in ascending order of the ids."""
        for raw, split in self._database.execute("SELECT id, split FROM members ORDER BY id"):
            # Two texts without a character to escape: these are RFC 8785's bytes.
            yield b'{"split":"%b","trace":"%b"}' % (split.encode(), from_raw(raw).encode())

    def __iter__(self) -> Iterator[Member]:
        for raw, split in self._database.execute("SELECT id, split FROM members ORDER BY id"):
            yield Member(from_raw(raw), Split(split))

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM members").fetchone()[0])

    def split_counts(self) -> dict[str, int]:
        """Return the number of members of each split that has any."""
        rows = self._database.execute("SELECT split, count(*) FROM members GROUP BY split")
        return dict(sorted(rows))

    def strata(self) -> list[Stratum] | None:
        """Return how each value of the stratifying field is split; None without such a field."""
        if self._stratum is None:
            return None
        counts: dict[str | None, dict[str, int]] = {}
        rows = self._database.execute(
            "SELECT stratum, split, count(*) FROM members GROUP BY stratum, split"
        )
        for stratum, split, n in rows:
            counts.setdefault(stratum, {})[split] = n
        return [
            Stratum(
                dict(sorted(by.items())), UNSET if text is None else decode_canonical(text.encode())
            )
            for text, by in sorted(counts.items(), key=lambda item: item[0] or "")
        ]

    def stats(self) -> DatasetStats:
        """Return the statistics of the selected traces, of which there must be one at least."""
        n, steps, least, most, chars = self._database.execute(
            "SELECT count(*), sum(n_steps), min(n_steps), max(n_steps), sum(n_chars) FROM members"
        ).fetchone()
        return DatasetStats(
            avg_step_count=_average(steps, n),
            min_step_count=least,
            max_step_count=most,
            avg_total_chars=_average(chars, n),
        )


def select(
    log: EventLog,
    projection: Projection,
    recipe: Recipe,
    listed: Mapping[Digest, Member] | None = None,
) -> Selection:
    """Return the active traces that match the recipe, up to its limit.

    Args:
        log: Where the payloads are.
        projection: The state of every trace.
        recipe: What to select.
        listed: Members that cannot be read any more and are kept as they are listed.

    Raises:
        RecipeError: Nothing matches; the message lists the nearest keys or values.
    """
    selection = Selection(recipe)
    expression = None if recipe.where is None else parse_expression(recipe.where)
    matcher = Matcher(recipe.filters, expression)
    if listed:
        for state in projection.traces():
            if state.id in listed and state.place is not None:
                selection.add_listed(state.place, listed[state.id])
    found = bool(listed)
    for state, payload in read_in_order(log, projection.active()):
        subject = Subject(state, parse_payload(payload))
        if matcher.matches(subject):
            selection.add(subject)
            found = True
    if not found:
        selection.close()
        raise RecipeError(matcher.explain())
    selection.cut()
    return selection


def _reader(field: str | None) -> Callable[[Subject], Any] | None:
    return None if field is None else reader_of(parse_field(field))


def _value(text: str) -> object:
    return decode_canonical(text.encode())


def _average(total: int, n: int) -> float:
    return float(round(Fraction(total, n), 2))
