"""The pages of a site that show datasets, eval sets and the leaderboard, as blocks."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tunixrt.report.blocks import (
    Bar,
    Bullets,
    CodeBlock,
    CodeSpan,
    Facts,
    Figures,
    Heading,
    Link,
    Paragraph,
    Table,
    Tag,
    Tone,
)
from tunixrt.report.escape import shortened
from tunixrt.report.numbers import count, interval, signed
from tunixrt.runs.manifests import EvaluationResults

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunixrt.datasets.files import Dataset, DatasetManifest
    from tunixrt.datasets.selection import Member
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.report.blocks import Block, Inline, Inlines
    from tunixrt.report.shown import Pair
    from tunixrt.report.site.traces import TraceCounts
    from tunixrt.runs.leaderboard import RunRow

_N_TOP: Final = 5
_N_SAMPLES: Final = 500
_MAX_PROMPT: Final = 200
_HEX: Final = 12
_RULE: Final = (
    (
        "Evaluations are compared pair by pair where eval set, judge, template, token limit and "
        "sampling are the same: each with every better one, or, where more than eight are "
        "comparable, each with the run named "
    ),
    CodeSpan("baseline"),
    ", or with the lowest score where none of them has that name.",
)


def index_blocks(
    counts: TraceCounts,
    datasets: Sequence[Dataset],
    evalsets: Sequence[EvalSet],
    rows: Sequence[RunRow],
    notes: Sequence[str],
) -> list[Block]:
    """The overview; ``notes`` need a decision, such as a name that means two datasets."""
    kinds = Counter(row.kind for row in rows)
    blocks: list[Block] = [
        Figures(
            (
                ("traces", f"{counts.n_recorded:,}"),
                ("active", f"{counts.n_active:,}"),
                ("datasets", f"{len({dataset.key for dataset in datasets}):,}"),
                ("training runs", f"{kinds['training']:,}"),
                ("evaluations", f"{kinds['evaluation']:,}"),
                ("eval sets", f"{len(evalsets):,}"),
            )
        )
    ]
    if notes:
        blocks += [heading("Needs a decision"), Bullets(tuple(notes))]
    boards = leaderboards(rows, at_most=_N_TOP)
    if boards:
        boards.append(Paragraph(Link("All runs and comparisons", "runs.html")))
    else:
        boards.append(Paragraph(("No evaluation yet: ", CodeSpan("tunixrt eval"), ".")))
    return [
        *blocks,
        heading("Leaderboard"),
        *boards,
        heading("Datasets"),
        *datasets_blocks(datasets),
        heading("Check it yourself"),
        CodeBlock(
            "From a clone of the repository:",
            "# prove every digest and rebuild the datasets\ntunixrt verify --rebuild\n"
            "# train and evaluate again, compare every bit\ntunixrt reproduce --all",
            language="sh",
        ),
    ]


def runs_blocks(rows: Sequence[RunRow], pairs: Sequence[Pair]) -> list[Block]:
    """Every run, and every comparison that has a page."""
    training = tuple(
        (
            run_link(row),
            row.what,
            row.result,
            ", ".join(row.names),
            CodeSpan(_short(row.weights_sha256 or "")),
        )
        for row in rows
        if row.kind == "training"
    )
    head = ("Run", "Model and dataset", "Result", "Names", "Weights")
    blocks = [
        heading("Leaderboard"),
        *(leaderboards(rows) or [Paragraph("No evaluations yet.")]),
        heading("Training runs"),
        *table("Training runs", head, training),
    ]
    if not pairs:
        return blocks
    compared = tuple(
        (
            Link(
                f"{pair.before.run_id[:_HEX]} → {pair.after.run_id[:_HEX]}",
                f"compare/{comparison_name(pair)}.html",
            ),
            str(pair.comparison.verdict),
            signed(pair.comparison.delta, 1),
            interval(*pair.comparison.interval),
            f"{pair.comparison.p_value:.3g}",
        )
        for pair in pairs
    )
    head = ("Before → after", "Verdict", "Points", "95% interval", "p-value")
    return [
        *blocks,
        heading("Comparisons"),
        *table("Comparisons", head, compared, numeric={2, 3, 4}),
        Paragraph(_RULE),
    ]


def comparison_name(pair: Pair) -> str:
    """The name of the page of a comparison, without its extension."""
    return f"{pair.before.run_id[:16]}-{pair.after.run_id[:16]}"


def leaderboards(
    rows: Iterable[RunRow], *, root: str = "", at_most: int | None = None
) -> list[Block]:
    """One table per eval set, in descending order of score; rows are in that order already."""
    blocks: list[Block] = []
    named = ((row.evalset, row) for row in rows if row.evalset is not None)
    for evalset, members in groupby(sorted(named, key=lambda one: one[0]), key=lambda one: one[0]):
        lines = tuple(_board_row(row, root) for _, row in members)
        blocks += [
            Heading(3, evalset),
            Table(
                f"Leaderboard of {evalset}",
                ("Evaluation", "Model", "Score", "95% interval, 0 to 100", "Right", "Judge"),
                lines[:at_most],
                numeric=frozenset({2, 4}),
                dense=True,
            ),
        ]
    return blocks


def _board_row(row: RunRow, root: str) -> tuple[Inlines, ...]:
    results = row.metrics
    assert isinstance(results, EvaluationResults)
    seen: tuple[Inline, ...] = ()
    if row.n_contaminated:
        seen = (" ", Tag(f"{row.n_contaminated:,} samples seen in training", Tone.BAD))
    low, high = results.interval
    return (
        (run_link(row, root), *(piece for n in row.names for piece in (" ", _named(n)))),
        (row.what.removesuffix(f" on {row.evalset}"), *seen),
        f"{results.avg_score:.1f}",
        Bar(interval(low, high), results.avg_score, low, high),
        f"{results.n_correct:,} of {results.results_count:,}",
        "; ".join(filter(None, (row.judge, row.draws))),
    )


def _named(name: str) -> Tag:
    return Tag(name, Tone.NAMED)


def datasets_blocks(datasets: Sequence[Dataset]) -> list[Block]:
    """Every dataset."""
    rows = tuple(
        (
            Link(d.key, f"datasets/{dataset_name(d)}.html"),
            f"{d.manifest.trace_count:,}",
            _splits(d.manifest.split_counts),
            _selected_where(d.manifest),
            CodeSpan(_short(d.digest)),
        )
        for d in datasets
    )
    head = ("Dataset", "Traces", "Splits", "Selected where", "Digest")
    return table("Datasets", head, rows, numeric={1})


def dataset_name(dataset: Dataset) -> str:
    """The name of the page of a dataset, without its extension."""
    return f"{dataset.key}-{dataset.path.name[:_HEX]}"


def dataset_blocks(
    dataset: Dataset, first: Sequence[Member], rows: Sequence[RunRow]
) -> list[Block]:
    """One dataset: its facts, what was derived from it, its first members."""
    manifest = dataset.manifest
    stats, n = manifest.stats, manifest.trace_count
    steps = (
        f"{stats.avg_step_count:g} on average, {stats.min_step_count:,} to {stats.max_step_count:,}"
    )
    facts: list[tuple[str, Inlines]] = [
        ("Digest", CodeSpan(dataset.digest)),
        ("Traces", f"{n:,} ({_splits(manifest.split_counts)})"),
        ("Selected where", _selected_where(manifest)),
        ("Selection", _selection(manifest.selection_strategy, manifest.limit)),
        ("Seed", "none" if manifest.seed is None else str(manifest.seed)),
        ("Steps per trace", steps),
        ("Snapshot", CodeSpan(manifest.snapshot)),
    ]
    if manifest.dedupe is not None:
        facts.append(("Duplicates", f"{manifest.n_duplicates:,} left out ({manifest.dedupe})"))
    if manifest.parent_dataset_id:
        facts.append(("Follows", manifest.parent_dataset_id))
    if manifest.built_at:
        facts.append(("Built at", manifest.built_at))
    trained = tuple(
        (run_link(row, "../"), row.kind, row.what, row.result)
        for row in rows
        if row.dataset_key == dataset.key
    )
    members = tuple(
        (Link(_short(m.trace), f"../trace.html?id={m.trace.removeprefix('sha256:')}"), str(m.split))
        for m in first
    )
    # Without --split, `train` is exported, and a dataset may have no members there.
    options = "-o train.jsonl" if manifest.split_counts.get("train") else "--split all -o all.jsonl"
    shown = f"The first {len(members):,} of {n:,}, by id." if len(members) < n else f"All {n:,}."
    return [
        Facts(tuple(facts)),
        CodeBlock(
            "The texts of this dataset:",
            f"tunixrt dataset export {dataset.key} --format tunix_sft {options}",
            language="sh",
        ),
        heading("Runs"),
        *table("Runs", ("Run", "Kind", "Of", "Result"), trained, empty="No training run yet."),
        heading("Members"),
        Paragraph(shown),
        *table("Members", ("Trace", "Split"), members, empty=""),
    ]


def evalsets_blocks(evalsets: Sequence[EvalSet], rows: Sequence[RunRow]) -> list[Block]:
    """Every eval set."""
    used = Counter(row.evalset for row in rows)
    lines = tuple(
        (
            Link(e.name, f"evalsets/{e.name}.html"),
            f"{len(e.samples):,}",
            ", ".join(sorted({s.category for s in e.samples})),
            f"{used[e.name]:,}",
            CodeSpan(_short(e.digest)),
        )
        for e in evalsets
    )
    head = ("Eval set", "Samples", "Categories", "Evaluations", "Digest")
    return table("Eval sets", head, lines, numeric={1, 3})


def evalset_blocks(evalset: EvalSet, rows: Sequence[RunRow]) -> list[Block]:
    """One eval set: its leaderboard and its questions."""
    categories = Counter(sample.category for sample in evalset.samples)
    listed = ", ".join(f"{name} ({n:,})" for name, n in sorted(categories.items()))
    samples = tuple(
        (
            CodeSpan(s.id),
            shortened(s.prompt, _MAX_PROMPT),
            shortened(s.expected_answer or "", _MAX_PROMPT),
            s.category,
            s.difficulty,
        )
        for s in evalset.samples[:_N_SAMPLES]
    )
    n = len(evalset.samples)
    first = [Paragraph(f"The first {_N_SAMPLES:,} of {n:,}.")] if n > _N_SAMPLES else []
    return [
        Facts(
            (
                ("Digest", CodeSpan(evalset.digest)),
                ("Samples", count(n, "sample")),
                ("Categories", listed),
            )
        ),
        *evaluations_blocks("Leaderboard", [r for r in rows if r.evalset == evalset.name]),
        heading("Samples"),
        *first,
        *table("Samples", ("Id", "Prompt", "Expected answer", "Category", "Difficulty"), samples),
    ]


def evaluations_blocks(title: str, rows: Sequence[RunRow]) -> list[Block]:
    """The leaderboard of a page below the root, under a heading."""
    boards = leaderboards(rows, root="../")
    return [heading(title), *(boards or [Paragraph("No evaluation yet.")])]


def heading(text: str) -> Heading:
    """The heading of a section."""
    return Heading(2, text)


def run_link(row: RunRow, root: str = "") -> Link:
    """The link to a run's page."""
    return Link(row.run_id[:_HEX], f"{root}runs/{row.run_id}.html")


def table(
    label: str,
    head: tuple[str, ...],
    rows: tuple[tuple[Inlines, ...], ...],
    *,
    numeric: Iterable[int] = (),
    empty: str = "None yet.",
) -> list[Block]:
    """A table, or a sentence if it would have no rows."""
    if rows:
        return [Table(label, head, rows, frozenset(numeric))]
    return [Paragraph(empty)] if empty else []


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_HEX]


def _splits(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


def _selected_where(manifest: DatasetManifest) -> str:
    conditions = [f"{key} = {value}" for key, value in manifest.filters.items()]
    conditions += [manifest.where] if manifest.where is not None else []
    conditions += [f"id in ({manifest.sql.query})"] if manifest.sql is not None else []
    return ", ".join(conditions) or "everything"


def _selection(strategy: str, limit: int | None) -> str:
    return f"{strategy}, all that match" if limit is None else f"{strategy}, at most {limit:,}"
