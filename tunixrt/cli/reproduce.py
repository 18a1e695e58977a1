"""`tunixrt reproduce`: make a run again and compare every digest."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import runs
from tunixrt.cli.options import goes_with
from tunixrt.cli.output import count, emit_json, say, short, table
from tunixrt.cli.progress import Progress
from tunixrt.derive import Answer, Verdict, Watch
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt reproduce 5d1f0c",
        "tunixrt reproduce --all",
        "tunixrt reproduce --all --jobs 2",
    ),
)
@click.argument("run", required=False, shell_complete=runs)
@click.option("--all", "every", is_flag=True, help="Reproduce every run of the store.")
@click.option(
    "--jobs",
    "n_jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="With --all: make N trainings at a time, with their evaluations, each in a process of its "
    "own. Runs in numeric mode fast are made one after the other.",
)
@store_options
def reproduce(store: Store, run: str | None, every: bool, n_jobs: int, as_json: bool) -> int:
    """Repeat RUN from what is committed, and compare every output with the recorded one.

    A training run is trained again, responses are generated again with the new weights, and judged
    again. The verdict is identical, close (only where identity was not promised: numeric mode fast
    on another numeric class), diverged, which names the first difference, or not reproducible,
    where an input is gone: a member was redacted, the model is from elsewhere, or a judge of yours
    is not here or has other source. The last two exit 1.
    """
    if (run is None) == (not every):
        raise click.UsageError("Name one RUN, or give --all.")
    goes_with("n_jobs", "--all, since one RUN is made in one process", holds=every)
    verdicts = _one_by_one(store, run) if n_jobs == 1 else _at_once(store, n_jobs)
    worst = max((v.verdict for v in verdicts), key=list(Answer).index)
    if as_json:
        first = next((v.first_difference for v in verdicts if v.first_difference), None)
        emit_json({"verdict": worst, "first_difference": first, "runs": verdicts})
    else:
        _print(verdicts, worst)
    return ExitCode.ANSWER_IS_NO if worst.is_no else ExitCode.DONE


def _one_by_one(store: Store, run: str | None) -> list[Verdict]:
    with Progress("reproducing", "step") as progress:

        def begin(what: str) -> None:
            progress.verb = what

        watch = Watch(on_begin=begin, on_progress=lambda done, of, _: progress.show(done, of))
        return store.reproduce(run, watch=watch)


def _at_once(store: Store, n_jobs: int) -> list[Verdict]:
    from tunixrt.jobs.reproduce_at_once import reproduce_at_once
    from tunixrt.runs.numeric_class import usable_cpus

    root = str(store.layout.root)
    with Progress("reproducing", "training") as progress:
        return reproduce_at_once(
            store.layout,
            n_jobs,
            command=[sys.executable, "-m", "tunixrt.cli.main", "reproduce", "--store", root],
            environment=dict(os.environ),
            n_threads=max(1, usable_cpus() // n_jobs),
            on_progress=lambda done, total, ids: progress.show(
                done, total, f"making {', '.join(map(short, ids))}"
            ),
        )


def _print(verdicts: list[Verdict], worst: Answer) -> None:
    rows = [
        (
            v.kind,
            short(v.id),
            f"{sum(f.same for f in v.files)} of {len(v.files)}",
            v.expected,
            v.verdict,
        )
        for v in verdicts
    ]
    click.echo(table(("made again", "run", "files the same", "promised", "verdict"), rows))
    for v in verdicts:
        if v.verdict is Answer.NOT_REPRODUCIBLE:
            say(f"{short(v.id)}: not reproducible: {'; '.join(v.reasons)}.")
        elif v.reasons and v.verdict is not Answer.IDENTICAL:
            say(f"{short(v.id)}: identity is not promised here: {'; '.join(v.reasons)}.")
        if v.first_difference is not None:
            say(f"{short(v.id)}: first difference: {v.first_difference}")
    n_files = sum(len(v.files) for v in verdicts)
    click.echo(f"{worst}: {count(len(verdicts), 'run')}, {count(n_files, 'file')} compared.")
