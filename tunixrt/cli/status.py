"""`tunixrt status`: what is here, and what needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.output import count, emit_json, short
from tunixrt.words import series

if TYPE_CHECKING:
    from tunixrt.jobs.status import Status
    from tunixrt.store import Store


@click.command(cls=ExampleCommand, examples=("tunixrt status",))
@store_options
def status(store: Store, as_json: bool) -> None:
    """Summarise the store, and what needs a decision: conflicts, leftovers."""
    found = store.status()
    if as_json:
        emit_json({name: getattr(found, name) for name in found.__struct_fields__})
        return
    click.echo(
        f"{count(found.n_traces, 'trace')} recorded, {found.n_active:,} active; "
        f"{count(found.n_segments, 'segment')}, {count(found.n_snapshots, 'snapshot')}, "
        f"{count(len(found.dataset_keys), 'dataset')}, {count(found.n_runs, 'run')}, "
        f"{count(len(found.evalsets), 'eval set')}."
    )
    if found.dataset_keys:
        click.echo(f"datasets: {', '.join(found.dataset_keys)}")
    if found.released_datasets:
        click.echo(f"released datasets: {', '.join(found.released_datasets)}")
    for key, reason in found.deprecated_datasets.items():
        click.echo(f"deprecated dataset: {key}: {reason}")
    if found.evalsets:
        click.echo(f"eval sets: {', '.join(found.evalsets)}")
    if found.promoted:
        names = ", ".join(f"{name} {short(run)}" for name, run in found.promoted.items())
        click.echo(f"promoted runs: {names}")
    _decisions(found)
    _around(found)


def _decisions(found: Status) -> None:
    """What a person has to look at."""
    _decisions_on_datasets(found)
    for name, runs in found.ambiguous_promotions.items():
        click.echo(
            f"conflict: the name {name} was given to different runs: {', '.join(runs)}; "
            f"`tunixrt run promote RUN --as {name}` decides"
        )
    for conflict in found.conflicts:
        claims = series(str(claim.value) for claim in conflict.claims)
        click.echo(f"conflict: trace {short(conflict.trace)}: {conflict.fact} is {claims}")
    for cycle in found.cycles:
        traces = series(map(short, cycle))
        click.echo(
            f"conflict: the traces {traces} supersede each other, so that none counts; "
            "`tunixrt trace supersede ID --by ANOTHER` decides"
        )
    for name, run in found.missing_promoted.items():
        click.echo(
            f"the name {name} was given to the run {short(run)}, which is not here: bring it back "
            f"from Git, or `tunixrt run promote RUN --as {name}`"
        )
    for problem in found.problems:
        place = f"segment {short(problem.segment)}, {problem.part}, line {problem.line}"
        click.echo(f"passed over: {place}: {problem.sentence}")
    if found.unfinished_runs:
        click.echo(f"runs without a manifest: {', '.join(map(short, found.unfinished_runs))}")
    if found.leftovers:
        click.echo(
            f"leftovers of interrupted writes: {', '.join(found.leftovers)} (safe to delete when "
            "no tunixrt process is running)"
        )
    if found.streams:
        click.echo(
            "streams that are written, or that `tunixrt trace recover` puts into the log: "
            f"{', '.join(found.streams)}"
        )


def _decisions_on_datasets(found: Status) -> None:
    for key in found.ambiguous_datasets:
        click.echo(
            f"conflict: {key} has different builds: {', '.join(found.ambiguous_datasets[key])}"
        )
    for key in found.disputed_releases:
        click.echo(
            f"conflict: the dataset {key} was released on one branch and deprecated on another; "
            f"`tunixrt dataset release {key}` or `tunixrt dataset deprecate {key}` decides"
        )


def _around(found: Status) -> None:
    """What Git says about the working tree."""
    if found.not_checked_out:
        left_out = ", ".join(map(short, found.not_checked_out))
        click.echo(f"promoted runs that this sparse checkout leaves out: {left_out}")
    for sentence in found.git_problems:
        click.echo(f"git: {sentence}")
