"""What changed from one dataset to the next, as a document for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.diff import MemberChange
from tunixrt.report.blocks import Block, CodeSpan, Details, Document, Paragraph, Strong, Table
from tunixrt.report.numbers import decimal, signed
from tunixrt.traces.schema import Trace
from tunixrt.traces.side_by_side import Change, compare_traces
from tunixrt.words import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.datasets.diff import DatasetDiff
    from tunixrt.datasets.files import Dataset, DatasetManifest
    from tunixrt.report.blocks import Inline, Inlines

_PROMPT: Final = 80


class ShownChange(msgspec.Struct, frozen=True):
    """A change with the traces that it concerns, as schema 1.0 has them.

    ``trace`` and ``instead`` are None if their text was redacted; ``instead`` also if no trace
    takes the place of this one.
    """

    change: MemberChange
    trace: Trace | None
    instead: Trace | None = None


def diff_document(
    a: Dataset, b: Dataset, found: DatasetDiff, shown: Sequence[ShownChange]
) -> Document:
    """Return the document.

    Args:
        a: the first dataset.
        b: the second.
        found: their differences.
        shown: the changes to list; all are counted.
    """
    n_changes = sum(sum(counts.values()) for counts in (found.added, found.removed, found.moved))
    blocks: list[Block] = [_figures(a.manifest, b.manifest), Paragraph(_summary(found))]
    if not found.same_recipe:
        blocks.append(_recipes(a.manifest, b.manifest))
    blocks += _revisions(shown)
    if shown:
        more = f", the first {len(shown):,}" * (n_changes > len(shown))
        blocks.append(Details(f"{n_changes:,} changes{more}", (_changes(shown),)))
    blocks.append(Paragraph(("Digests: ", CodeSpan(a.digest), " → ", CodeSpan(b.digest), ".")))
    return Document(f"Dataset {a.key} → {b.key}", tuple(blocks))


def _figures(a: DatasetManifest, b: DatasetManifest) -> Table:
    splits = sorted({*a.split_counts, *b.split_counts})
    rows = [
        _row("traces", a.trace_count, b.trace_count),
        *(_row(name, a.split_counts.get(name, 0), b.split_counts.get(name, 0)) for name in splits),
        _row("steps per trace, average", a.stats.avg_step_count, b.stats.avg_step_count, 2),
        _row("steps per trace, most", a.stats.max_step_count, b.stats.max_step_count),
        _row("characters per trace, average", a.stats.avg_total_chars, b.stats.avg_total_chars, 2),
    ]
    return Table(
        "Both datasets side by side",
        ("", a.dataset_key, b.dataset_key, "change"),
        tuple(rows),
        numeric=frozenset({1, 2, 3}),
    )


def _row(name: str, before: float, after: float, n_digits: int = 0) -> tuple[Inlines, ...]:
    return (
        name,
        decimal(before, n_digits),
        decimal(after, n_digits),
        signed(after - before, n_digits),
    )


def _summary(found: DatasetDiff) -> tuple[Inline, ...]:
    n_added, n_removed = sum(found.added.values()), sum(found.removed.values())
    moved = (f" {n:,} moved from {m.replace(' -> ', ' to ')}." for m, n in found.moved.items())
    return (
        Strong(f"{n_added:,} added"),
        f"{_reasons(found.added_because)}, ",
        Strong(f"{n_removed:,} left out"),
        f"{_reasons(found.removed_because)}, {found.n_same:,} unchanged.",
        *moved,
    )


def _reasons(counts: dict[str, int]) -> str:
    listed = ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
    return f" ({listed})" if listed else ""


def _recipes(a: DatasetManifest, b: DatasetManifest) -> Table:
    before, after = (msgspec.to_builtins(manifest.recipe) for manifest in (a, b))
    rows = tuple(
        (name, CodeSpan(_json(before.get(name))), CodeSpan(_json(after.get(name))))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
    return Table("What changed in the recipe", ("recipe", a.dataset_key, b.dataset_key), rows)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _revisions(shown: Sequence[ShownChange]) -> list[Block]:
    """Return a table of the traces that others took the place of, with what their steps changed."""
    rows = []
    for one in shown:
        if one.trace is None or one.instead is None:
            continue
        steps = compare_traces(one.trace, one.instead).steps
        kinds = [step.change for step in steps if step.change is not Change.SAME]
        counts = {
            "changed": kinds.count(Change.CHANGED),
            "removed": kinds.count(Change.ONLY_A),
            "added": kinds.count(Change.ONLY_B),
        }
        what = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n) or "none"
        answer = one.instead.final_answer
        answer = "same" if answer == one.trace.final_answer else f"now {shorten(answer, 40)}"
        prompt = shorten(one.trace.prompt, _PROMPT)
        rows.append(
            (prompt, _short(one.change.trace), _short(one.change.superseded_by), what, answer)
        )
    if not rows:
        return []
    head = ("prompt", "trace", "superseded by", "steps", "answer")
    return [Table("Revised traces", head, tuple(rows))]


def _changes(shown: Sequence[ShownChange]) -> Table:
    rows = tuple(
        (
            _sign(one.change),
            _short(one.change.trace),
            _splits(one.change),
            "(redacted)" if one.trace is None else shorten(one.trace.prompt, _PROMPT),
            str(one.change.reason or ""),
        )
        for one in shown
    )
    return Table("Changes", ("", "trace", "split", "prompt", "reason"), rows)


def _sign(change: MemberChange) -> str:
    if change.a is None:
        return "added"
    return "left out" if change.b is None else "moved"


def _splits(change: MemberChange) -> str:
    return " → ".join(split for split in (change.a, change.b) if split is not None)


def _short(digest: str | None) -> Inlines:
    return CodeSpan((digest or "").removeprefix("sha256:")[:12])
