"""The status job: the contents of a store, and conflicts that need a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.building import list_datasets
from tunixrt.datasets.releases import ReleaseState, read_releases
from tunixrt.eval.evalsets import list_evalsets
from tunixrt.jobs.git_surroundings import git_problems
from tunixrt.log.checkout import Checkout
from tunixrt.log.digests import Digest
from tunixrt.log.findings import entries
from tunixrt.log.journal import TORN_SUFFIX, journals
from tunixrt.log.snapshots import list_snapshots
from tunixrt.runs.directories import list_run_ids
from tunixrt.runs.promotions import read_promotions
from tunixrt.runs.run import Run
from tunixrt.traces.state import Conflict, EventProblem, project

if TYPE_CHECKING:
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of ``tunixrt status``.

    ``ambiguous_datasets`` maps a key that two branches built differently to the digests,
    ``ambiguous_promotions`` a name that two branches gave to different runs to the run ids;
    ``promoted`` maps every other name to its run, ``missing_promoted`` those of its names whose
    run is not here; ``unfinished_runs`` are without a manifest; ``cycles`` are traces that
    supersede each other, after a merge of two branches, so that none of them counts; ``problems``
    are events that this version cannot interpret and ignores; ``leftovers`` are directories of
    writes that were interrupted; ``streams`` are journals of streams that are being written, or
    that wait for ``tunixrt trace recover``; ``torn`` are the unfinished ends of such journals;
    ``released_datasets`` are the keys of released datasets, ``deprecated_datasets`` maps those of
    deprecated ones to the reasons, and ``disputed_releases`` are keys of datasets that one branch
    released and another deprecated;
    ``git_problems`` list what Git would ignore or change in the store;
    ``not_checked_out`` are promoted runs that Git tracks and a sparse checkout excludes.
    """

    n_traces: int
    n_active: int
    n_segments: int
    n_snapshots: int
    n_runs: int
    dataset_keys: list[str]
    evalsets: list[str]
    ambiguous_datasets: dict[str, list[Digest]]
    released_datasets: list[str]
    deprecated_datasets: dict[str, str]
    disputed_releases: list[str]
    conflicts: list[Conflict]
    leftovers: list[str]
    streams: list[str]
    torn: list[str]
    promoted: dict[str, str]
    ambiguous_promotions: dict[str, list[str]]
    unfinished_runs: list[str]
    missing_promoted: dict[str, str]
    problems: list[EventProblem]
    cycles: list[list[Digest]]
    git_problems: list[str]
    not_checked_out: list[str]


def read_status(layout: Layout, log: EventLog) -> Status:
    """Read the whole log and the manifests."""
    by_key: dict[str, set[Digest]] = {}
    listed = list_datasets(layout)
    for dataset in listed:
        by_key.setdefault(dataset.key, set()).add(dataset.digest)
    with project(log) as projection:
        n_traces, n_active = projection.n_traces, projection.n_active
        conflicts = list(projection.conflicts())
        problems = list(projection.problems)
        cycles = projection.circles()
    releases = read_releases(log)
    stated = {dataset.key: fact for dataset in listed if (fact := releases.of(dataset.digest))}
    disputed = {dataset.key for dataset in listed if releases.is_disputed(dataset.digest)}
    promotions = read_promotions(log)
    run_ids = list_run_ids(layout)
    missing = {name: run for name, run in promotions.names.items() if run not in run_ids}
    checkout = Checkout.of(layout) if missing else Checkout()
    left_out = {run for run in missing.values() if checkout.lacks(f"runs/{run}")}
    staged = {layout.staging / entry.name for entry in entries(layout.staging, layout.root)}
    streams = set(journals(layout))
    torn = {path for path in staged if path.suffix == TORN_SUFFIX}
    return Status(
        n_traces=n_traces,
        n_active=n_active,
        n_segments=len(log.segments()),
        n_snapshots=len(list_snapshots(layout)),
        n_runs=len(run_ids),
        dataset_keys=sorted(by_key),
        evalsets=list(list_evalsets(layout.evalsets)),
        ambiguous_datasets={k: sorted(d) for k, d in sorted(by_key.items()) if len(d) > 1},
        released_datasets=[k for k, fact in stated.items() if fact.state is ReleaseState.RELEASED],
        deprecated_datasets={k: fact.reason for k, fact in stated.items() if fact.reason},
        disputed_releases=sorted(disputed),
        conflicts=conflicts,
        leftovers=[layout.relative(path) for path in sorted(staged - streams - torn)],
        streams=[layout.relative(path) for path in sorted(streams)],
        torn=[layout.relative(path) for path in sorted(torn)],
        promoted=promotions.names,
        ambiguous_promotions={name: list(runs) for name, runs in promotions.conflicts.items()},
        unfinished_runs=[run for run in run_ids if not Run.of(layout, run).is_published],
        missing_promoted={n: run for n, run in missing.items() if run not in left_out},
        problems=problems,
        cycles=cycles,
        git_problems=git_problems(layout),
        not_checked_out=sorted(left_out),
    )
