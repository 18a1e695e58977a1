"""The pages of a site that show datasets, eval sets and the leaderboard."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tunixrt.report.blocks import Code, Heading, Link, Listing, Paragraph, Table, Text
from tunixrt.report.escape import html_text, shortened
from tunixrt.report.html import render_blocks
from tunixrt.report.numbers import count, interval
from tunixrt.report.site.traces import search_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunixrt.datasets.files import DatasetManifest
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.report.blocks import Block, Inlines
    from tunixrt.report.site.view import DatasetView, SiteView
    from tunixrt.runs.leaderboard import RunRow

_N_TOP: Final = 5
_N_SAMPLES: Final = 500
_MAX_PROMPT: Final = 200
_HEX: Final = 12


def index_body(view: SiteView) -> str:
    """The overview."""
    traces = view.traces
    kinds = Counter(row.kind for row in view.rows)
    keys = {dataset.manifest.dataset_key for dataset in view.datasets}
    shown = figures(
        ("traces", f"{traces.n_recorded:,}"),
        ("active", f"{traces.n_active:,}"),
        ("datasets", f"{len(keys):,}"),
        ("training runs", f"{kinds['training']:,}"),
        ("evaluations", f"{kinds['evaluation']:,}"),
        ("eval sets", f"{len(view.evalsets):,}"),
    )
    parts = [shown, search_form("")]
    if view.notes:
        notes = "".join(f"<li>{html_text(note)}</li>\n" for note in view.notes)
        parts.append(f"<h2>Needs a decision</h2>\n<ul>\n{notes}</ul>\n")
    parts.append("<h2>Leaderboard</h2>\n")
    boards = leaderboards(view.rows, at_most=_N_TOP)
    parts.append(boards or "<p>No evaluation yet: <code>tunixrt eval</code>.</p>\n")
    if boards:
        parts.append('<p><a href="runs.html">All runs and comparisons</a></p>\n')
    parts.append("<h2>Datasets</h2>\n")
    parts.append(_dataset_table(view.datasets))
    check = Listing(
        "From a clone of the repository:",
        "# prove every digest and rebuild the datasets\ntunixrt verify --rebuild\n"
        "# train and evaluate again, compare every bit\ntunixrt reproduce --all",
        language="sh",
    )
    parts.append(render_blocks((Heading(2, (Text("Check it yourself"),)), check)))
    return "".join(parts)


def runs_body(view: SiteView) -> str:
    """Every run, and every comparison that has a page."""
    boards = leaderboards(view.rows) or "<p>No evaluations yet.</p>\n"
    training = [row for row in view.rows if row.kind == "training"]
    parts = ["<h2>Leaderboard</h2>\n", boards, "<h2>Training runs</h2>\n"]
    rows = tuple(
        (
            run_link(row),
            (Text(row.what),),
            (Text(row.result),),
            (Text(", ".join(row.names)),),
            (Code(_short(row.weights_sha256 or "")),),
        )
        for row in training
    )
    head = ("Run", "Model and dataset", "Result", "Names", "Weights")
    parts.append(_table("Training runs", head, rows) or "<p>None yet.</p>\n")
    if view.comparisons:
        parts.append("<h2>Comparisons</h2>\n")
        pairs = tuple(
            (
                (Link(f"{c.before[:_HEX]} → {c.after[:_HEX]}", f"compare/{c.page}.html"),),
                (Text(str(c.comparison.verdict)),),
                (Text(f"{c.comparison.delta:+.1f}".replace("-", "−")),),
                (Text(interval(*c.comparison.interval)),),
                (Text(f"{c.comparison.p_value:.3g}"),),
            )
            for c in view.comparisons
        )
        head = ("Before → after", "Verdict", "Points", "95% interval", "p-value")
        parts.append(_table("Comparisons", head, pairs, numeric={2, 3, 4}))
        parts.append(
            "<p>Evaluations are compared pair by pair where eval set, judge, template, token limit "
            "and sampling are the same: each with every better one, or, where more than eight are "
            "comparable, each with the run named <code>baseline</code>, or with the lowest score "
            "where none of them has that name.</p>\n"
        )
    return "".join(parts)


def leaderboards(rows: Iterable[RunRow], *, root: str = "", at_most: int | None = None) -> str:
    """One table per eval set, in descending order of score."""
    boards: dict[str, list[RunRow]] = {}
    for row in rows:
        if row.evalset is not None:
            boards.setdefault(row.evalset, []).append(row)
    parts = []
    for evalset, members in sorted(boards.items()):
        name = html_text(evalset)
        lines = "".join(_board_row(row, root) for row in members[:at_most])
        parts.append(
            f"<h3>{name}</h3>\n"
            f'<div class="scroll" role="region" tabindex="0" aria-label="Leaderboard of {name}">\n'
            '<table class="board">\n<thead><tr><th scope="col">Evaluation</th>'
            '<th scope="col">Model</th><th scope="col" class="n">Score</th>'
            '<th scope="col">95% interval, 0 to 100</th><th scope="col" class="n">Right</th>'
            '<th scope="col">Judge</th></tr></thead>\n'
            f"<tbody>\n{lines}</tbody>\n</table>\n</div>\n"
        )
    return "".join(parts)


def _board_row(row: RunRow, root: str) -> str:
    low, high = row.interval or (0.0, 0.0)
    results = row.metrics
    right = getattr(results, "n_correct", 0), getattr(results, "results_count", 0)
    names = "".join(f' <span class="tag named">{html_text(name)}</span>' for name in row.names)
    seen = (
        f' <span class="tag bad">{row.n_contaminated:,} samples seen in training</span>'
        if row.n_contaminated
        else ""
    )
    model = row.what.removesuffix(f" on {row.evalset}")
    return (
        f'<tr><th scope="row"><a href="{root}runs/{row.run_id}.html">'
        f"<code>{row.run_id[:_HEX]}</code></a>{names}</th><td>{html_text(model)}{seen}</td>"
        f'<td class="n">{row.score or 0.0:.1f}</td><td>{interval(low, high)}'
        f"{_bar(row.score or 0.0, low, high)}</td>"
        f'<td class="n">{right[0]:,} of {right[1]:,}</td>'
        f"<td>{html_text('; '.join(filter(None, (row.judge, row.draws))))}</td></tr>\n"
    )


def _bar(score: float, low: float, high: float) -> str:
    """A score with its interval on a track from 0 to 100; the numbers are next to it."""
    return (
        '<svg class="bar" viewBox="0 0 108 12" aria-hidden="true">'
        '<line class="track" x1="4" y1="6" x2="104" y2="6"/>'
        f'<line class="range" x1="{low + 4:.1f}" y1="6" x2="{high + 4:.1f}" y2="6"/>'
        f'<circle class="dot" cx="{score + 4:.1f}" cy="6" r="3.5"/></svg>'
    )


def datasets_body(view: SiteView) -> str:
    """Every dataset."""
    return _dataset_table(view.datasets)


def _dataset_table(datasets: Sequence[DatasetView]) -> str:
    rows = tuple(
        (
            (Link(d.manifest.dataset_key, f"datasets/{d.page}.html"),),
            (Text(f"{d.manifest.trace_count:,}"),),
            (Text(_splits(d.manifest.split_counts)),),
            (Text(_selected_where(d.manifest)),),
            (Code(_short(d.manifest.digest)),),
        )
        for d in datasets
    )
    head = ("Dataset", "Traces", "Splits", "Selected where", "Digest")
    return _table("Datasets", head, rows, numeric={1}) or "<p>None yet.</p>\n"


def dataset_body(view: DatasetView, rows: Sequence[RunRow]) -> str:
    """One dataset: its facts, what was derived from it, its first members."""
    manifest = view.manifest
    stats = manifest.stats
    parent = manifest.parent_dataset_id
    shown = facts(
        ("Digest", (Code(manifest.digest),)),
        ("Traces", (Text(f"{manifest.trace_count:,} ({_splits(manifest.split_counts)})"),)),
        ("Selected where", (Text(_selected_where(manifest)),)),
        ("Selection", (Text(_selection(manifest.selection_strategy, manifest.limit)),)),
        ("Seed", (Text("none" if manifest.seed is None else str(manifest.seed)),)),
        (
            "Steps per trace",
            (
                Text(
                    f"{stats.avg_step_count:g} on average, {stats.min_step_count:,} to "
                    f"{stats.max_step_count:,}"
                ),
            ),
        ),
        ("Snapshot", (Code(manifest.snapshot),)),
        *((("Follows", (Text(parent),)),) if parent else ()),
        *((("Built at", (Text(manifest.built_at),)),) if manifest.built_at else ()),
    )
    used = [row for row in rows if row.dataset_key == manifest.dataset_key]
    trained = tuple(
        (run_link(row, "../"), (Text(row.kind),), (Text(row.what),), (Text(row.result),))
        for row in used
    )
    members = tuple(
        (
            (Link(_short(m.trace), f"../trace.html?id={m.trace.removeprefix('sha256:')}"),),
            (Text(str(m.split)),),
        )
        for m in view.members
    )
    # Without --split, `train` is exported, and a dataset may have no members there.
    options = "-o train.jsonl" if manifest.split_counts.get("train") else "--split all -o all.jsonl"
    export = Listing(
        "The texts of this dataset:",
        f"tunixrt dataset export {manifest.dataset_key} --format tunix_sft {options}",
        language="sh",
    )
    n = manifest.trace_count
    first = f"The first {len(members):,} of {n:,}, by id." if len(members) < n else f"All {n:,}."
    return "".join(
        (
            shown,
            render_blocks((export,)),
            "<h2>Runs</h2>\n",
            _table("Runs", ("Run", "Kind", "Of", "Result"), trained)
            or "<p>No training run yet.</p>\n",
            f"<h2>Members</h2>\n<p>{first}</p>\n",
            _table("Members", ("Trace", "Split"), members),
        )
    )


def evalsets_body(view: SiteView) -> str:
    """Every eval set."""
    used = Counter(row.evalset for row in view.rows)
    rows = tuple(
        (
            (Link(e.name, f"evalsets/{e.name}.html"),),
            (Text(f"{len(e.samples):,}"),),
            (Text(", ".join(sorted({s.category for s in e.samples}))),),
            (Text(f"{used[e.name]:,}"),),
            (Code(_short(e.digest)),),
        )
        for e in view.evalsets
    )
    head = ("Eval set", "Samples", "Categories", "Evaluations", "Digest")
    return _table("Eval sets", head, rows, numeric={1, 3}) or "<p>None yet.</p>\n"


def evalset_body(evalset: EvalSet, rows: Sequence[RunRow]) -> str:
    """One eval set: its leaderboard and its questions."""
    categories = Counter(sample.category for sample in evalset.samples)
    listed = ", ".join(f"{name} ({n:,})" for name, n in sorted(categories.items()))
    samples = tuple(
        (
            (Code(s.id),),
            (Text(shortened(s.prompt, _MAX_PROMPT)),),
            (Text(shortened(s.expected_answer, _MAX_PROMPT)),),
            (Text(s.category),),
            (Text(s.difficulty),),
        )
        for s in evalset.samples[:_N_SAMPLES]
    )
    board = leaderboards((row for row in rows if row.evalset == evalset.name), root="../")
    n = len(evalset.samples)
    first = f"<p>The first {_N_SAMPLES:,} of {n:,}.</p>\n" if n > _N_SAMPLES else ""
    head = ("Id", "Prompt", "Expected answer", "Category", "Difficulty")
    return (
        facts(
            ("Digest", (Code(evalset.digest),)),
            ("Samples", (Text(count(n, "sample")),)),
            ("Categories", (Text(listed),)),
        )
        + f"<h2>Leaderboard</h2>\n{board or '<p>No evaluation yet.</p>'}\n"
        + f"<h2>Samples</h2>\n{first}"
        + _table("Samples", head, samples)
    )


def run_link(row: RunRow, root: str = "") -> Inlines:
    """The link to a run's page."""
    return (Link(row.run_id[:_HEX], f"{root}runs/{row.run_id}.html"),)


def figures(*items: tuple[str, str]) -> str:
    """Large figures with their labels."""
    terms = "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(value)}</dd></div>\n"
        for name, value in items
    )
    return f'<dl class="figures">\n{terms}</dl>\n'


def facts(*items: tuple[str, Inlines]) -> str:
    """A list of names and values."""
    terms = "".join(
        f"<dt>{html_text(name)}</dt><dd>{_inline_html(value)}</dd>\n" for name, value in items
    )
    return f'<dl class="facts">\n{terms}</dl>\n'


def _inline_html(content: Inlines) -> str:
    paragraph: Block = Paragraph(content)
    return render_blocks((paragraph,)).removeprefix("<p>").removesuffix("</p>\n")


def _table(
    label: str,
    head: tuple[str, ...],
    rows: tuple[tuple[Inlines, ...], ...],
    *,
    numeric: Iterable[int] = (),
) -> str:
    """A table, or nothing where it would have no rows."""
    if not rows:
        return ""
    return render_blocks((Table(label, head, rows, frozenset(numeric)),))


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
