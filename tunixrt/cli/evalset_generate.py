"""`tunixrt evalset generate`: an eval set of problems that no generated trace shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunixrt.cli.arithmetic import gym_task, problem_options
from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.options import output_option

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt evalset generate arithmetic -n 200 --name sums",
        "tunixrt evalset generate arithmetic --digits 2 -n 100 -o sums.jsonl",
        "tunixrt evalset generate reasoning-gym --task countdown -n 50 --seed 2 --name countdown",
    ),
)
@problem_options
@click.option("--name", metavar="NAME", help="Write evalsets/NAME.jsonl.")
@output_option("Write FILE instead, in any directory; - is stdout.")
@store_options
def generate(
    store: Store,
    what: str,
    task: str | None,
    kinds: tuple[str, ...],
    n_digits: int,
    n: int,
    seed: int,
    name: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Generate an eval set of held-out arithmetic problems.

    The problems depend on the seed alone. A problem belongs either to the training pool or to the
    held-out pool, by a digest of its text, so an eval set made here and traces of `tunixrt trace
    generate` never share one, whatever the seeds. An eval set that exists with other samples is
    never overwritten.

    With reasoning-gym, the items of one of its tasks with their metadata, which `tunixrt eval
    --judge reasoning-gym` reads. Give them another seed than traces for training have.
    """
    from tunixrt.cli.evalset import report_import
    from tunixrt.cli.trace import write_evalset

    task = gym_task(what, task)
    if task is not None:
        if name is None or output is not None:
            raise click.UsageError("Give --name NAME: these eval sets are in the store.")
        report_import(store.evalsets.generate_reasoning_gym(name, task, n=n, seed=seed), as_json)
        return
    if (name is None) == (output is None):
        raise click.UsageError("Give either --name NAME or -o FILE: where the eval set goes.")
    place = output if output is not None else Path(store.layout.evalsets) / f"{name}.jsonl"
    write_evalset(store, place, kinds, n_digits, n, seed, as_json=as_json)
