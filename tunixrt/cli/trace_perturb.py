"""`tunixrt trace perturb`: traces with a known error, for training and testing verifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.options import goes_with, lock_timeout_option, recorded_at_option, where_option
from tunixrt.cli.output import count, emit_json, say
from tunixrt.cli.suggestions import Choice

if TYPE_CHECKING:
    from tunixrt.log.lock import Waiting
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt trace perturb 5d1f0c --kind digit --seed 0",
        "tunixrt trace perturb --where 'meta.source = \"gsm8k\"' -n 1000 --kind swap --seed 7",
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID...]")
@where_option
@click.option(
    "-n", "--limit", type=click.IntRange(1), metavar="N", help="Perturb at most N traces."
)
@click.option(
    "--kind",
    required=True,
    type=Choice(["digit", "operator", "swap"]),
    help="Change a digit, change an operator, or swap two neighbouring steps.",
)
@click.option(
    "--seed",
    required=True,
    type=click.IntRange(0),
    metavar="N",
    help="Decides where, and what is written instead.",
)
@recorded_at_option
@lock_timeout_option
@store_options
def perturb(
    store: Store,
    ids: tuple[str, ...],
    where: tuple[str, ...],
    limit: int | None,
    kind: str,
    seed: int,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Record copies of traces with one error in one step, and the label of the wrong step.

    A copy depends on the trace, the kind and the seed alone; its answer and its other steps are
    those of the original. Its metadata has `source=perturbed`, `perturbed_from` (the id of the
    original), `perturbed_step` (the index of the wrong step) and `perturbation` (the kind), and its
    label `step.INDEX=wrong` marks the step for the export format stepwise.

    Traces in which nothing can be changed, or that have a wrong step already, are left out and
    counted. Redacting the original does not redact its copies: `trace redact` lists them.
    """
    if bool(ids) == bool(where):
        raise click.UsageError("Name the traces to perturb by ID, or select them with --where.")
    goes_with("limit", "--where", holds=bool(where))
    report = store.traces.perturb(
        ids,
        kind=kind,
        seed=seed,
        where=where,
        limit=limit,
        recorded_at=recorded_at,
        waiting=waiting,
    )
    if as_json:
        emit_json({name: getattr(report, name) for name in report.__struct_fields__})
        return
    omitted = "".join(f", {n:,} left out ({reason})" for reason, n in report.omitted.items())
    say(
        f"{count(report.recorded, 'perturbed trace')} recorded, "
        f"{count(report.duplicates, 'duplicate')}{omitted}."
    )
    if report.segment is not None:
        click.echo(report.segment)
