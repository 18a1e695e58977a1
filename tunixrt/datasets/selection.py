"""Selects traces by a recipe, with their splits and statistics.

The candidates are kept in a private table on disk, so memory does not grow with their number.
"""

from __future__ import annotations

import weakref
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.recipes import RecipeError, SelectionStrategy, Split, Splitter, sample_key
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, from_raw, raw_of
from tunixrt.traces.payloads import read_in_order
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.spill import spill
from tunixrt.traces.views import n_characters_of, n_steps_of, prompts_of
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tunixrt.datasets.recipes import Recipe
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import Projection, TraceState

#: A filter on ``label.NAME`` matches a label; any other key is one of ``meta``.
LABEL_PREFIX: Final = "label."

#: How many keys and values are kept for the message that lists possible ones.
_REMEMBERED: Final = 20
_BUFFERED: Final = 2_000


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


class Selection:
    """The selected traces: iterate for the members in ascending order of their ids."""

    def __init__(self, recipe: Recipe) -> None:
        self._database = spill()
        self.close = weakref.finalize(self, self._database.close)
        self._database.execute(
            "CREATE TABLE members (place INTEGER PRIMARY KEY, id BLOB, key BLOB, split TEXT,"
            " n_steps INTEGER, n_chars INTEGER)"
        )
        self._database.execute("BEGIN")
        self._recipe = recipe
        self._is_random = recipe.selection_strategy is SelectionStrategy.RANDOM
        self._splitter = Splitter(recipe)
        self._rows: list[tuple[object, ...]] = []

    def add(self, place: int, trace_id: Digest, trace: AnyTrace) -> None:
        """Add a candidate that matches the recipe's filters."""
        split = self._splitter.split_of(prompts_of(trace)[0])
        self._add(place, trace_id, split, n_steps_of(trace), n_characters_of(trace))

    def add_listed(self, place: int, member: Member) -> None:
        """Add a candidate that cannot be read any more, as a dataset lists it."""
        self._add(place, member.trace, member.split, None, None)

    def _add(
        self, place: int, trace: Digest, split: Split, n_steps: int | None, n_chars: int | None
    ) -> None:
        key = sample_key(self._recipe.seed or 0, trace) if self._is_random else b""
        self._rows.append((place, raw_of(trace), key, str(split), n_steps, n_chars))
        if len(self._rows) >= _BUFFERED:
            self._flush()

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)", self._rows)
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

    def __iter__(self) -> Iterator[Member]:
        for raw, split in self._database.execute("SELECT id, split FROM members ORDER BY id"):
            yield Member(from_raw(raw), Split(split))

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM members").fetchone()[0])

    def split_counts(self) -> dict[str, int]:
        """Return the number of members of each split that has any."""
        rows = self._database.execute("SELECT split, count(*) FROM members GROUP BY split")
        return dict(sorted(rows))

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
    segments: Collection[Digest] | None = None,
    listed: Mapping[Digest, Member] | None = None,
) -> Selection:
    """Return the active traces that match the recipe, up to its limit.

    Args:
        log: Where the payloads are.
        projection: The state of every trace at the segments.
        recipe: What to select.
        segments: The segments of the projection; all of them if None.
        listed: Members that cannot be read any more and are kept as they are listed.

    Raises:
        RecipeError: Nothing matches; the message lists the nearest keys or values.
    """
    selection, seen = Selection(recipe), _Seen(recipe)
    if listed:
        for state in projection.traces():
            if state.id in listed and state.place is not None:
                selection.add_listed(state.place, listed[state.id])
    found = bool(listed)
    for state, payload in read_in_order(log, projection.active(), segments):
        trace = parse_payload(payload)
        if seen.matches(state, trace) and state.place is not None:
            selection.add(state.place, state.id, trace)
            found = True
    if not found:
        selection.close()
        raise RecipeError(seen.explain())
    selection.cut()
    return selection


class _Seen:
    """Matches traces against filters, and collects keys and values for the explanation."""

    def __init__(self, recipe: Recipe) -> None:
        self._filters = list(recipe.filters.items())
        self._keys: Counter[str] = Counter()
        self._values: dict[str, Counter[str]] = {key: Counter() for key in recipe.filters}
        self._met: set[str] = set()
        self._n_traces = 0

    def matches(self, state: TraceState, trace: AnyTrace) -> bool:
        """Return whether a trace passes all filters."""
        self._n_traces += 1
        if not self._filters:
            return True
        for key in (*trace.meta, *(LABEL_PREFIX + label for label in state.labels)):
            _remember(self._keys, key)
        matched = True
        for key, wanted in self._filters:
            value = value_of(state, trace, key)
            if value is not None:
                _remember(self._values[key], value)
            if value == wanted:
                self._met.add(key)
            else:
                matched = False
        return matched

    def explain(self) -> str:
        """Return why nothing matched."""
        if not self._n_traces:
            return "There are no traces to select from: import some first."
        for key, values in self._values.items():
            if not values:
                known = sorted(self._keys)
                listed = (
                    f"{suggestion(key, known)} The keys are {', '.join(known)}."
                    if known
                    else " No trace has any metadata."
                )
                return f"No trace has the metadata key {quoted(key)}.{listed}"
        for key, wanted in self._filters:
            if key not in self._met:
                known = sorted(self._values[key])
                values_shown = ", ".join(quoted(value) for value in known)
                return (
                    f"No trace matches {key}={wanted}: the values of {quoted(key)} are "
                    f"{values_shown}{', and more' * (len(known) >= _REMEMBERED)}."
                    f"{suggestion(wanted, known)}"
                )
        pairs = " and ".join(f"{key}={wanted}" for key, wanted in self._filters)
        return f"No trace matches {pairs} together, though some match each of them alone."


def value_of(state: TraceState, trace: AnyTrace, key: str) -> str | None:
    """Return a value as filters compare it: text as it is, anything else as canonical JSON."""
    if key.startswith(LABEL_PREFIX):
        return state.labels.get(key.removeprefix(LABEL_PREFIX))
    if key not in trace.meta:
        return None
    value = trace.meta[key]
    return value if isinstance(value, str) else encode(value).decode()


def _remember(counter: Counter[str], text: str) -> None:
    if text in counter or len(counter) < _REMEMBERED:
        counter[text] += 1


def _average(total: int, n: int) -> float:
    return float(round(Fraction(total, n), 2))
