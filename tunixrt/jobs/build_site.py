"""The site job: a store in, a directory of static pages out.

The pages need no server and no network. A new site replaces an older one when it is complete:
nothing of the old one remains, in particular no trace redacted since, and no other file is touched.
"""

from __future__ import annotations

import itertools
from importlib import resources
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from tunixrt.datasets.building import list_datasets, members
from tunixrt.derive.delivery import Delivery, deliver
from tunixrt.eval.compare.conditions import conditions
from tunixrt.eval.evalsets import find_evalset, list_evalsets, load_evalset
from tunixrt.jobs.status import read_status
from tunixrt.jobs.write_report import shown_pair, shown_run, shown_training
from tunixrt.log.digests import Digest
from tunixrt.log.snapshots import take_snapshot
from tunixrt.report.html import render_blocks
from tunixrt.report.site import pages as site_pages
from tunixrt.report.site import run_pages as site_runs
from tunixrt.report.site import traces as site_traces
from tunixrt.report.site.frame import (
    ICON,
    SCRIPT_NAME,
    SITE_TEMPLATE,
    STYLE_NAME,
    frame,
    site_css,
)
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.leaderboard import rows_of
from tunixrt.runs.promotions import read_promotions
from tunixrt.traces.payloads import read_in_order
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.state import TraceState, project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tunixrt.derive import Watch
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.report.blocks import Block
    from tunixrt.report.shown import Pair, ShownRun
    from tunixrt.runs.leaderboard import RunRow
    from tunixrt.runs.promotions import Promotions

_BASELINE: Final = "baseline"
#: Up to this many comparable evaluations, all pairs are compared.
_MAX_ALL_PAIRS: Final = 8
_N_MEMBERS: Final = 200
_N_PER_NOTICE: Final = 500


class SiteIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="site"
):
    """What decides the bytes of a site: the whole store by digest, the title and the template.

    Attributes:
        template: the version of the pages.
        title: the name of the site.
        snapshot: the log, which names of runs and redactions are in.
        datasets: the digests of the manifests by key.
        evalsets: the digests by name.
        runs: the ids of all runs.
    """

    template: str
    title: str
    snapshot: Digest
    datasets: dict[str, list[str]]
    evalsets: dict[str, Digest]
    runs: list[str]


class SiteManifest(msgspec.Struct, frozen=True):
    """The manifest of a site."""

    identity: SiteIdentity
    n_pages: int
    n_traces: int


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
    check: bool = False,
    watch: Watch,
) -> SiteBuilt:
    """Build the site of a store.

    Args:
        layout: where runs, datasets and eval sets are.
        log: where the traces are.
        directory: the site; a new or an empty directory, or an older site, whose files are
            replaced.
        title: the name of the site.
        check: write nothing, and compare the site with the existing one.
        watch: receives the number of traces written and the total.

    Raises:
        ForeignDirectoryError: the directory contains other files.
        OtherContentError: ``check``, and the site has other content.
        BadInputError: a run or an eval set cannot be read.
    """
    done = deliver(layout, Site(layout, log, title), directory, check=check, watch=watch)
    return SiteBuilt(
        n_pages=done.manifest.n_pages,
        n_traces=done.manifest.n_traces,
        n_files=len(done.sizes),
        size_bytes=sum(done.sizes.values()),
    )


class Site(Delivery[SiteManifest]):
    """The pages of one site."""

    kind: ClassVar = "site"
    manifest_name: ClassVar = "site.json"
    made_by: ClassVar = "tunixrt site build"
    records: ClassVar = {"*.html": ("the text", ()), "*.js": ("the text", ())}

    def __init__(self, layout: Layout, log: EventLog, title: str) -> None:
        """Read what there is; runs and traces are read when the site is made."""
        self._layout = layout
        self._log = log
        self._title = title
        self._catalogue = Catalogue(layout)
        self._datasets = list_datasets(layout)
        self._evalsets = [
            load_evalset(find_evalset(layout.evalsets, name))
            for name in list_evalsets(layout.evalsets)
        ]
        self._snapshot = take_snapshot(log)

    @property
    def identity(self) -> SiteIdentity:
        """The store, the title and the template."""
        datasets: dict[str, list[str]] = {}
        for dataset in self._datasets:
            datasets.setdefault(dataset.key, []).append(dataset.path.name)
        return SiteIdentity(
            template=SITE_TEMPLATE,
            title=self._title,
            snapshot=self._snapshot.digest,
            datasets={key: sorted(found) for key, found in sorted(datasets.items())},
            evalsets={one.name: one.digest for one in self._evalsets},
            runs=[run.run_id for run in self._catalogue.runs],
        )

    def make(self, directory: Path, watch: Watch, work: Path | None) -> SiteManifest:  # noqa: ARG002
        """Write everything."""
        for name in ("data", "runs", "compare", "datasets", "evalsets"):
            (directory / name).mkdir()
        counts = self._traces(directory / "data", watch)
        pages = _Pages(directory, self._title, self._foot())
        catalogue, promotions = self._catalogue, read_promotions(self._log)
        kinds = ("training", "evaluation")
        rows = [row for row in rows_of(catalogue, promotions) if row.kind in kinds]
        shown = {run.run_id: shown_run(catalogue, run) for run in catalogue.evaluations}
        pairs = [shown_pair(*pair) for pair in _pairs(shown.values(), promotions)]
        for pair in pairs:
            document = site_runs.comparison_document(pair)
            name = f"compare/{site_pages.comparison_name(pair)}.html"
            pages.write(name, document.title, document.blocks, current="runs.html")
        for row in rows:
            title = f"{row.kind.capitalize()} {row.run_id[:12]}"
            blocks = self._run(row, rows, shown, pairs)
            pages.write(f"runs/{row.run_id}.html", title, blocks, current="runs.html")
        for dataset in self._datasets:
            first = list(itertools.islice(members(dataset), _N_MEMBERS))
            name = f"datasets/{site_pages.dataset_name(dataset)}.html"
            blocks = site_pages.dataset_blocks(dataset, first, rows)
            pages.write(name, f"Dataset {dataset.key}", blocks, current="datasets.html")
        for evalset in self._evalsets:
            blocks = site_pages.evalset_blocks(evalset, rows)
            name = f"evalsets/{evalset.name}.html"
            pages.write(name, f"Eval set {evalset.name}", blocks, current="evalsets.html")
        overview = site_pages.index_blocks(
            counts, self._datasets, self._evalsets, rows, list(self._notes())
        )
        pages.write("index.html", self._title, overview, before=site_traces.search_form(""))
        pages.write("runs.html", "Runs", site_pages.runs_blocks(rows, pairs))
        pages.write("datasets.html", "Datasets", site_pages.datasets_blocks(self._datasets))
        pages.write("evalsets.html", "Eval sets", site_pages.evalsets_blocks(self._evalsets, rows))
        for name, title, body in site_traces.trace_pages(counts):
            pages.write(name, title, (), current="traces.html", before=body, script=True)
        _write_assets(directory)
        return SiteManifest(self.identity, pages.n_written, counts.n_shown)

    def _foot(self) -> str:
        snapshot = self._snapshot
        return (
            f"Built by tunixrt from the snapshot {snapshot.digest} "
            f"({snapshot.n_events:,} events in {snapshot.n_segments:,} segments)."
        )

    def _traces(self, directory: Path, watch: Watch) -> site_traces.TraceCounts:
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

            with site_traces.TraceFiles(directory, n_recorded) as files:
                for state, payload in read_in_order(self._log, kept()):
                    files.add(state.id, _state_of(state), parse_payload(payload))
                    if files.n_rows % _N_PER_NOTICE == 0:
                        watch.progress(files.n_rows, n_recorded)
            return site_traces.TraceCounts(
                n_recorded, projection.n_active, files.n_rows, n_redacted
            )

    def _run(
        self,
        row: RunRow,
        rows: Sequence[RunRow],
        shown: dict[str, ShownRun],
        pairs: Sequence[Pair],
    ) -> list[Block]:
        if row.run_id in shown:
            return site_runs.evaluation_blocks(shown[row.run_id], row, pairs)
        (manifest,) = (run for run in self._catalogue.trainings if run.run_id == row.run_id)
        training = shown_training(self._catalogue, manifest)
        evaluations = [other for other in rows if other.model == row.run_id]
        return site_runs.training_run_blocks(training, row, evaluations)

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


class _Pages:
    """Writes pages, all with the frame of one site."""

    def __init__(self, directory: Path, site: str, foot: str) -> None:
        self._directory = directory
        self._site = site
        self._foot = foot
        self.n_written = 0

    def write(
        self,
        name: str,
        title: str,
        blocks: Iterable[Block],
        *,
        current: str = "",
        before: str = "",
        script: bool = False,
    ) -> None:
        """Write one page: ``before`` is HTML of the site itself, such as a search form."""
        text = frame(
            title,
            before + render_blocks(blocks),
            site=self._site,
            foot=self._foot,
            depth=name.count("/"),
            current=current or name,
            script=script,
        )
        (self._directory / name).write_bytes(text.encode())
        self.n_written += 1


def _write_assets(directory: Path) -> None:
    script = resources.files("tunixrt.report").joinpath(SCRIPT_NAME).read_text("utf-8")
    # Without .nojekyll GitHub would treat the pages as sources of another generator.
    assets = {SCRIPT_NAME: script, STYLE_NAME: site_css(), "icon.svg": ICON, ".nojekyll": ""}
    for name, text in assets.items():
        (directory / name).write_bytes(text.encode())


def _pairs(
    evaluations: Iterable[ShownRun], promotions: Promotions
) -> Iterator[tuple[ShownRun, ShownRun]]:
    """Pairs to compare, the lower score first; the page of runs states the rule."""
    groups: dict[tuple[str, ...], list[ShownRun]] = {}
    for run in evaluations:
        groups.setdefault(tuple(conditions(run.evaluation).values()), []).append(run)
    for _, group in sorted(groups.items()):
        ranked = sorted(group, key=lambda run: (run.manifest.results.avg_score, run.run_id))
        if len(ranked) <= _MAX_ALL_PAIRS:
            yield from itertools.combinations(ranked, 2)
            continue
        named = [run for run in ranked if _BASELINE in promotions.names_of(run.run_id)]
        reference = (named or ranked)[0]
        yield from ((reference, run) for run in ranked if run is not reference)


def _state_of(state: TraceState) -> str:
    if state.retracted:
        return "retracted"
    return "superseded" if state.superseded_by is not None else "active"
