"""Selects traces by a recipe, with their splits and statistics."""

from __future__ import annotations

import contextlib
import weakref
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from tunixrt.datasets.dedupe import Deduper, Duplicate, deduper_of
from tunixrt.datasets.expressions.fields import MISSING, Subject, reader_of
from tunixrt.datasets.expressions.parsing import parse_expression, parse_field
from tunixrt.datasets.matching import Matcher
from tunixrt.datasets.recipes import RecipeError, SelectionStrategy, Split, Splitter, sample_key
from tunixrt.datasets.sql import selected_places
from tunixrt.log.canonical import decode_canonical, encode
from tunixrt.log.digests import Digest, from_raw, raw_of
from tunixrt.traces.payloads import read_in_order
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.spill import spill
from tunixrt.traces.views import n_characters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunixrt.datasets.recipes import Recipe
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.spill import SpillDatabase
    from tunixrt.traces.state import Projection, TraceState

#: How many values of a field are counted for a stratified split.
MAX_STRATA: Final = 1_000
_BUFFERED: Final = 2_000
#: SQLite stores plain text faster than a member of an enumeration.
_NAMES: Final = {split: split.value for split in Split}
_CODES: Final = {split.value: code for code, split in enumerate(Split, start=1)}
#: Place, split, steps, characters (None if it cannot be read any more), stratum.
_Candidate = tuple[int, str, int | None, int | None, str | None]


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member of a dataset; its canonical JSON is a line of a member file."""

    trace: Digest
    split: Split


class DatasetStats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps per trace, and characters of prompt, steps and final answer together.

    The steps of a conversation are those of its flat view, its characters those of all contents and
    all reasoning. Averages are exact fractions, rounded once to two decimals (half to even).
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
    """The selected traces: iterate for the members in ascending order of their ids.

    A member is one byte at its place in the log, and the table of the projection has the order of
    the ids. Only a limit needs a table of candidates, of which it keeps some.
    """

    def __init__(self, recipe: Recipe, projection: Projection) -> None:
        self._recipe = recipe
        self._projection = projection
        self._candidates = None if recipe.limit is None else _Candidates(recipe)
        self._split_of = Splitter(recipe).split_of
        self._group = _reader(recipe.group_by)
        self._stratum = _reader(recipe.stratify)
        self._lacking = {field for field in (recipe.group_by, recipe.stratify) if field}
        self._values: set[str] = set()
        self._splits = bytearray()
        self._counts: Counter[tuple[str | None, str]] = Counter()
        self._n_steps: Counter[int] = Counter()
        self._n_chars = 0
        self.n_duplicates = 0
        self._dropped: SpillDatabase | None = None
        self._is_dropped = bytearray()

    def add(self, subject: Subject) -> None:
        """Add a candidate that matches the recipe."""
        state, flat = subject.state, subject.flat
        assert state.place is not None
        group = None if self._group is None else self._group(subject)
        # A group is named by a value; without one, the prompt decides.
        split = _NAMES[self._split_of(flat.prompt, None if group is MISSING else group)]
        stratum = None if self._stratum is None else self._stratum_of(self._stratum(subject))
        if self._lacking:
            if group is not MISSING:
                self._lacking.discard(self._recipe.group_by or "")
            if stratum is not None:
                self._lacking.discard(self._recipe.stratify or "")
        candidate = (state.place, split, len(flat.steps), n_characters_of(subject.trace), stratum)
        if self._candidates is None:
            self._take(*candidate)
        else:
            self._candidates.add(state.id, candidate)

    def drop(self, place: int, original: Digest) -> None:
        """Leave out a candidate that repeats another trace."""
        if self._dropped is None:
            self._dropped = spill()
            self._dropped.execute("CREATE TABLE dropped (place INTEGER PRIMARY KEY, original BLOB)")
            self._dropped.execute("BEGIN")
            weakref.finalize(self, self._dropped.close)
        self._dropped.execute("INSERT INTO dropped VALUES (?, ?)", (place, raw_of(original)))
        _reach(self._is_dropped, place)
        self._is_dropped[place] = 1
        self.n_duplicates += 1

    def duplicate_lines(self) -> Iterator[bytes]:
        """Yield a line for each trace that repeats another one, in ascending order of the ids."""
        if self._dropped is None:
            return
        for raw, place in self._projection.places_by_id():
            if place >= len(self._is_dropped) or not self._is_dropped[place]:
                continue  # a look into the table for every trace of the log would take seconds
            (original,) = self._dropped.execute(
                "SELECT original FROM dropped WHERE place = ?", (place,)
            ).fetchone()
            yield encode(Duplicate(duplicate_of=from_raw(original), trace=from_raw(raw)))

    def check_fields(self) -> None:
        """Refuse a field of the split that no candidate has: its name is likely misspelt.

        Raises:
            RecipeError: No candidate has the field to group or to stratify by.
        """
        for field in sorted(self._lacking):
            raise RecipeError(
                f"No selected trace has {field}, so traces cannot be grouped or stratified by it: "
                "name a field that `tunixrt trace show` lists, or leave the option out."
            )

    def add_listed(self, place: int, member: Member) -> None:
        """Add a candidate that cannot be read any more, as a dataset lists it."""
        candidate = (place, _NAMES[member.split], None, None, None)
        if self._candidates is None:
            self._take(*candidate)
        else:
            self._candidates.add(member.trace, candidate)

    def cut(self) -> None:
        """Apply the recipe's limit; nothing is added after it."""
        if self._candidates is not None:
            for candidate in self._candidates.cut():
                self._take(*candidate)
            self._candidates.close()

    def _take(
        self,
        place: int,
        split: str,
        n_steps: int | None,
        n_chars: int | None,
        stratum: str | None,
    ) -> None:
        _reach(self._splits, place)
        self._splits[place] = _CODES[split]
        self._counts[stratum, split] += 1
        if n_steps is not None and n_chars is not None:
            self._n_steps[n_steps] += 1
            self._n_chars += n_chars

    def _stratum_of(self, value: object) -> str | None:
        if value is MISSING:
            return None
        text = encode(value).decode()
        self._values.add(text)
        if len(self._values) > MAX_STRATA:
            raise RecipeError(
                f"{self._recipe.stratify} has more than {MAX_STRATA:,} values. Stratify by a field "
                "with few values, such as a source; --group-by keeps the traces of each value in "
                "one split."
            )
        return text

    def lines(self) -> Iterator[bytes]:
        """Yield the member lines, without line feeds, in ascending order of the ids."""
        splits = self._splits
        # Two texts without a character to escape: these are RFC 8785's bytes.
        begins = {code: f'{{"split":"{name}","trace":"sha256:' for name, code in _CODES.items()}
        for raw, place in self._projection.places_by_id():
            if place < len(splits) and (code := splits[place]):
                yield f'{begins[code]}{raw.hex()}"}}'.encode()

    def __iter__(self) -> Iterator[Member]:
        names = {code: Split(name) for name, code in _CODES.items()}
        for raw, place in self._projection.places_by_id():
            if place < len(self._splits) and (code := self._splits[place]):
                yield Member(from_raw(raw), names[code])

    def __len__(self) -> int:
        return self._counts.total()

    def split_counts(self) -> dict[str, int]:
        """Return the number of members of each split that has any."""
        counts = Counter[str]()
        for (_, split), n in self._counts.items():
            counts[split] += n
        return dict(sorted(counts.items()))

    def strata(self) -> list[Stratum] | None:
        """Return how each value of the stratifying field is split; None without such a field."""
        if self._stratum is None:
            return None
        by_value: dict[str | None, dict[str, int]] = {}
        for (value, split), n in self._counts.items():
            by_value.setdefault(value, {})[split] = n
        # Those without a value are first: no JSON text is empty.
        ordered = sorted(by_value.items(), key=lambda item: item[0] or "")
        return [
            Stratum(dict(sorted(by.items())), UNSET if text is None else _value(text))
            for text, by in ordered
        ]

    def stats(self) -> DatasetStats:
        """Return the statistics of the selected traces, of which there must be one at least."""
        n_traces = self._n_steps.total()
        return DatasetStats(
            avg_step_count=_average(sum(n * by for n, by in self._n_steps.items()), n_traces),
            min_step_count=min(self._n_steps),
            max_step_count=max(self._n_steps),
            avg_total_chars=_average(self._n_chars, n_traces),
        )


class _Candidates:
    """The matching traces of a recipe with a limit, in a private table on disk."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._is_random = recipe.selection_strategy is SelectionStrategy.RANDOM
        self._database = spill()
        self.close = weakref.finalize(self, self._database.close)
        self._database.execute(
            "CREATE TABLE candidates (place INTEGER PRIMARY KEY, split TEXT, n_steps INTEGER,"
            " n_chars INTEGER, stratum TEXT, id BLOB, key BLOB)"
        )
        self._database.execute("BEGIN")
        self._rows: list[tuple[object, ...]] = []

    def add(self, trace: Digest, candidate: _Candidate) -> None:
        """Add a matching trace."""
        key = sample_key(self._recipe.seed or 0, trace) if self._is_random else None
        self._rows.append((*candidate, raw_of(trace), key))
        if len(self._rows) >= _BUFFERED:
            self._flush()

    def _flush(self) -> None:
        self._database.executemany(
            "INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows
        )
        self._rows.clear()

    def cut(self) -> Iterator[_Candidate]:
        """Yield those that the limit keeps."""
        self._flush()
        order = "key, id" if self._is_random else "place DESC"
        yield from self._database.execute(
            "SELECT place, split, n_steps, n_chars, stratum FROM candidates"  # noqa: S608
            f" ORDER BY {order} LIMIT ?",
            (self._recipe.limit,),
        )


def select(
    log: EventLog,
    projection: Projection,
    recipe: Recipe,
    listed: Mapping[Digest, Member] | None = None,
    repeats: Mapping[Digest, Digest] | None = None,
    *,
    chosen: bytearray | None = None,
) -> Selection:
    """Return the active traces that match the recipe, up to its limit.

    Args:
        log: Where the payloads are.
        projection: The state of every trace.
        recipe: What to select.
        listed: Members that cannot be read any more and are kept as they are listed.
        repeats: What traces repeat, where one of the two cannot be read any more.
        chosen: What the recipe's query selects, as `selected_places` returns it; None runs it.

    Raises:
        RecipeError: Nothing matches; the message lists the nearest keys or values.
        SqlError: The query fails, or returns something else than ids of traces.
        MissingExtraError: The recipe has a query, and DuckDB is not installed.
    """
    if chosen is None and recipe.sql is not None:
        chosen = selected_places(recipe.sql, log, projection)
    selection = Selection(recipe, projection)
    expression = None if recipe.where is None else parse_expression(recipe.where)
    matcher = Matcher(recipe.filters, expression)
    listed, repeats = listed or {}, repeats or {}
    if listed or repeats:
        _add_unreadable(selection, projection, listed, repeats)
    found = bool(listed)
    with _Deduper(recipe.dedupe, repeats) as deduper:
        for state, payload in read_in_order(log, _chosen(projection, chosen)):
            subject = Subject(state, parse_payload(payload))
            if matcher.matches(subject):
                found = True
                deduper.hand_on(subject, selection)
    if not found and chosen is not None:
        n = sum(chosen)
        raise RecipeError(
            f"The query selects {n:,} traces, none of which matches the other conditions."
            if n
            else "The query selects no trace."
        )
    if not found:
        raise RecipeError(matcher.explain())
    selection.cut()
    return selection


def _add_unreadable(
    selection: Selection,
    projection: Projection,
    listed: Mapping[Digest, Member],
    repeats: Mapping[Digest, Digest],
) -> None:
    for state in projection.traces():
        if state.place is None:
            continue
        if state.id in listed:
            selection.add_listed(state.place, listed[state.id])
        elif state.id in repeats:
            selection.drop(state.place, repeats[state.id])


class _Deduper(contextlib.ExitStack):
    """Hands the traces that match on to a selection: as members, or as repeating another one."""

    def __init__(self, rule: str | None, known: Mapping[Digest, Digest]) -> None:
        super().__init__()
        self._known = known
        self._deduper: Deduper | None = None
        if rule is not None:
            self._deduper = self.enter_context(contextlib.closing(deduper_of(rule)))

    def hand_on(self, subject: Subject, selection: Selection) -> None:
        """Add a trace, or drop it; what is known to repeat another one was dropped already."""
        state = subject.state
        if self._deduper is None:
            selection.add(subject)
        elif state.id not in self._known:
            original = self._deduper.original(state.id, subject.trace)
            if original is None:
                selection.add(subject)
            elif state.place is not None:
                selection.drop(state.place, original)


def _chosen(projection: Projection, chosen: bytearray | None) -> Iterator[TraceState]:
    """Yield the active traces; only those at the chosen places, if there are such."""
    if chosen is None:
        yield from projection.active()
        return
    for state in projection.active():
        assert state.place is not None
        if state.place < len(chosen) and chosen[state.place]:
            yield state


def _reach(marks: bytearray, place: int) -> None:
    """Make room for the byte of a place."""
    if place >= len(marks):
        marks.extend(bytes(place + 1 - len(marks) + _BUFFERED))


def _reader(field: str | None) -> Callable[[Subject], Any] | None:
    return None if field is None else reader_of(parse_field(field))


def _value(text: str) -> object:
    return decode_canonical(text.encode())


def _average(total: int, n: int) -> float:
    return float(round(Fraction(total, n), 2))
