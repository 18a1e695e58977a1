"""The site job: a store in, a directory of static pages out.

The pages need no server and no network, and their bytes depend only on the store and the title.
The files are staged and replace those of an older site when they are complete: nothing of the old
site remains, in particular no trace redacted since, and no other file is touched.
"""

from __future__ import annotations

import itertools
from importlib import resources
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.building import list_datasets, members
from tunixrt.eval.compare.pairs import conditions
from tunixrt.eval.evalsets import find_evalset, list_evalsets, load_evalset
from tunixrt.jobs.status import read_status
from tunixrt.jobs.write_report import commands_of, report_view, run_view, training_view
from tunixrt.log.outputs import output_directory
from tunixrt.log.snapshots import take_snapshot
from tunixrt.report.site import pages as site_pages
from tunixrt.report.site import run_pages as site_runs
from tunixrt.report.site import traces as site_traces
from tunixrt.report.site.frame import ICON, SCRIPT_NAME, STYLE_NAME, frame, site_css
from tunixrt.report.site.view import (
    ComparisonView,
    DatasetView,
    EvaluationView,
    SiteView,
    TraceCounts,
    TrainingRunView,
)
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.leaderboard import rows_of
from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest
from tunixrt.runs.promotions import read_promotions
from tunixrt.traces.payloads import read_in_order
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.state import TraceState, project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.report.sections.view import ReportView, RunView
    from tunixrt.runs.leaderboard import RunRow
    from tunixrt.runs.promotions import Promotions

#: The file that lists the files of a site.
MARKER: Final = "site.json"
_BASELINE: Final = "baseline"
#: Up to this many comparable evaluations, all pairs are compared.
_MAX_ALL_PAIRS: Final = 8
_N_MEMBERS: Final = 200


class SiteBuilt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The size of a site: pages, traces, files and bytes."""

    n_pages: int
    n_traces: int
    n_files: int
    size_bytes: int


def build_site(
    layout: Layout,
    log: EventLog,
    directory: Path,
    *,
    title: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> SiteBuilt:
    """Build the site of a store.

    Args:
        layout: where runs, datasets and eval sets are.
        log: where the traces are.
        directory: the site; a new or an empty directory, or an older site, whose files are
            replaced.
        title: the name of the site.
        on_progress: called with the number of traces written and the total.

    Raises:
        ForeignDirectoryError: the directory holds something else.
        BadInputError: a run or an eval set cannot be read.
    """
    with output_directory(directory, manifest=MARKER, made_by="tunixrt site build") as staged:
        builder = _Builder(layout, log, staged, title)
        n_pages = builder.build(on_progress)
        sizes = [path.stat().st_size for path in staged.rglob("*") if path.is_file()]
    return SiteBuilt(
        n_pages=n_pages,
        n_traces=builder.n_traces,
        n_files=len(sizes),
        size_bytes=sum(sizes),
    )


class _Builder:
    """Writes the files of one site."""

    def __init__(self, layout: Layout, log: EventLog, directory: Path, title: str) -> None:
        self._layout = layout
        self._log = log
        self._directory = directory
        self._title = title
        self._n_pages = 0
        self.n_traces = 0
        snapshot = take_snapshot(log)
        self._foot = (
            f"Built by tunixrt from the snapshot {snapshot.digest} "
            f"({snapshot.n_events:,} events in {snapshot.n_segments:,} segments)."
        )

    def build(self, on_progress: Callable[[int, int], None] | None) -> int:
        """Write everything; return the number of pages."""
        for name in ("data", "runs", "compare", "datasets", "evalsets"):
            (self._directory / name).mkdir()
        counts = self._traces(on_progress)
        catalogue = Catalogue(self._layout)
        promotions = read_promotions(self._log)
        kinds = ("training", "evaluation")
        rows = tuple(row for row in rows_of(catalogue, promotions) if row.kind in kinds)
        views = {m.run_id: run_view(catalogue, m) for m in catalogue.evaluations}
        comparisons = tuple(self._comparisons(catalogue.evaluations, views, promotions))
        self._runs(catalogue, views, rows, comparisons)
        view = SiteView(
            title=self._title,
            foot=self._foot,
            traces=counts,
            datasets=tuple(self._datasets(rows)),
            evalsets=tuple(self._evalsets(rows)),
            rows=rows,
            comparisons=comparisons,
            notes=tuple(self._notes()),
        )
        self._page("index.html", self._title, site_pages.index_body(view))
        self._page("runs.html", "Runs", site_pages.runs_body(view))
        self._page("datasets.html", "Datasets", site_pages.datasets_body(view))
        self._page("evalsets.html", "Eval sets", site_pages.evalsets_body(view))
        self._trace_pages(counts)
        self._assets()
        return self._n_pages

    def _traces(self, on_progress: Callable[[int, int], None] | None) -> TraceCounts:
        """Write index and shards of every trace that is not redacted."""
        with project(self._log) as projection:
            n_recorded = projection.n_traces
            n_redacted = 0

            def kept() -> Iterator[TraceState]:
                nonlocal n_redacted
                for state in projection.traces():
                    if state.kept and not state.redacted:
                        yield state
                    else:
                        n_redacted += 1

            with site_traces.TraceFiles(self._directory / "data", n_recorded) as files:
                for state, payload in read_in_order(self._log, kept(), None):
                    files.add(state.id, _state_of(state), parse_payload(payload))
                    if on_progress is not None and files.n_rows % 500 == 0:
                        on_progress(files.n_rows, n_recorded)
            self.n_traces = files.n_rows
            return TraceCounts(n_recorded, projection.n_active, files.n_rows, n_redacted)

    def _trace_pages(self, counts: TraceCounts) -> None:
        pages = (
            ("traces.html", "Traces", site_traces.search_body(counts.n_shown, counts.n_redacted)),
            ("trace.html", "Trace", site_traces.trace_body(counts.n_recorded)),
            ("diff.html", "Compare traces", site_traces.diff_body(counts.n_recorded)),
        )
        for name, title, body in pages:
            self._page(name, title, body, current="traces.html", script=True)

    def _comparisons(
        self,
        evaluations: Sequence[EvaluationManifest],
        views: dict[str, RunView],
        promotions: Promotions,
    ) -> Iterator[ComparisonView]:
        """Write a page for each pair that the rule chooses."""
        for before, after in _pairs(evaluations, views, promotions):
            report = report_view((before, views[before.run_id]), (after, views[after.run_id]))
            page = f"{before.run_id[:16]}-{after.run_id[:16]}"
            self._comparison_page(page, report)
            yield ComparisonView(page, before.run_id, after.run_id, report.comparison)

    def _comparison_page(self, page: str, report: ReportView) -> None:
        title, body = site_runs.comparison_page(report)
        self._page(f"compare/{page}.html", title, body, current="runs.html")

    def _runs(
        self,
        catalogue: Catalogue,
        views: dict[str, RunView],
        rows: Sequence[RunRow],
        comparisons: Sequence[ComparisonView],
    ) -> None:
        by_id = {row.run_id: row for row in rows}
        for manifest in catalogue.runs:
            if manifest.run_id not in by_id:
                continue
            row = by_id[manifest.run_id]
            if isinstance(manifest, TrainingManifest):
                body = site_runs.training_body(
                    TrainingRunView(
                        row=row,
                        training=training_view(catalogue, manifest),
                        evaluations=tuple(r for r in rows if r.model == manifest.run_id),
                    )
                )
            elif isinstance(manifest, EvaluationManifest):
                own = views[manifest.run_id]
                involved = [c for c in comparisons if manifest.run_id in (c.before, c.after)]
                view = EvaluationView(
                    row=row,
                    run=own,
                    predictions=own.evaluation.predictions,
                    comparisons=tuple(involved),
                    commands=tuple(commands_of(manifest, own.training, own.evalset_name)),
                )
                body = site_runs.evaluation_body(view, manifest.results)
            name = f"runs/{manifest.run_id}.html"
            self._page(
                name, f"{row.kind.capitalize()} {row.run_id[:12]}", body, current="runs.html"
            )

    def _datasets(self, rows: Sequence[RunRow]) -> Iterator[DatasetView]:
        for dataset in list_datasets(self._layout):
            view = DatasetView(
                page=f"{dataset.key}-{dataset.path.name[:12]}",
                manifest=dataset.manifest,
                members=tuple(itertools.islice(members(dataset), _N_MEMBERS)),
            )
            body = site_pages.dataset_body(view, rows)
            name = f"datasets/{view.page}.html"
            self._page(name, f"Dataset {dataset.key}", body, current="datasets.html")
            yield view

    def _evalsets(self, rows: Sequence[RunRow]) -> Iterator[EvalSet]:
        for name in list_evalsets(self._layout.evalsets):
            evalset = load_evalset(find_evalset(self._layout.evalsets, name))
            body = site_pages.evalset_body(evalset, rows)
            self._page(f"evalsets/{name}.html", f"Eval set {name}", body, current="evalsets.html")
            yield evalset

    def _notes(self) -> Iterator[str]:
        """Conflicts that a person must decide, as in `tunixrt status`."""
        status = read_status(self._layout, self._log)
        for key, digests in status.ambiguous_datasets.items():
            yield f"The dataset {key} has different builds: {', '.join(digests)}."
        for name, runs in status.ambiguous_promotions.items():
            yield f"The name {name} was given to different runs: {', '.join(runs)}."
        for conflict in status.conflicts:
            values = " and ".join(str(claim.value) for claim in conflict.claims)
            yield f"Branches disagree on the trace {conflict.trace}: {values}."

    def _page(
        self, name: str, title: str, body: str, *, current: str = "", script: bool = False
    ) -> None:
        text = frame(
            title,
            body,
            site=self._title,
            foot=self._foot,
            depth=name.count("/"),
            current=current or name,
            script=script,
        )
        self._write(name, text)
        self._n_pages += 1

    def _assets(self) -> None:
        script = resources.files("tunixrt.report").joinpath(SCRIPT_NAME).read_text("utf-8")
        self._write(SCRIPT_NAME, script)
        self._write(STYLE_NAME, site_css())
        self._write("icon.svg", ICON)
        # Without it GitHub would treat the pages as sources of another generator.
        self._write(".nojekyll", "")

    def _write(self, name: str, text: str) -> None:
        (self._directory / name).write_bytes(text.encode())


def _pairs(
    evaluations: Sequence[EvaluationManifest], views: dict[str, RunView], promotions: Promotions
) -> Iterator[tuple[EvaluationManifest, EvaluationManifest]]:
    """Pairs to compare, the lower score first; the page of runs states the rule."""
    groups: dict[tuple[str, ...], list[EvaluationManifest]] = {}
    for manifest in evaluations:
        same = tuple(conditions(views[manifest.run_id].evaluation).values())
        groups.setdefault(same, []).append(manifest)
    for _, group in sorted(groups.items()):
        ranked = sorted(group, key=lambda m: (m.results.avg_score, m.run_id))
        if len(ranked) <= _MAX_ALL_PAIRS:
            yield from itertools.combinations(ranked, 2)
            continue
        named = [m for m in ranked if _BASELINE in promotions.names_of(m.run_id)]
        reference = (named or ranked)[0]
        yield from ((reference, m) for m in ranked if m is not reference)


def _state_of(state: TraceState) -> str:
    if state.retracted:
        return "retracted"
    return "superseded" if state.superseded_by is not None else "active"
