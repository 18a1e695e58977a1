"""`tunixrt reproduce`: make a run again and compare every digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.output import count, emit_json, say, short, table
from tunixrt.cli.progress import Progress
from tunixrt.errors import ExitCode
from tunixrt.runs.verdict import RunVerdict, Verdict

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.command(cls=ExampleCommand, examples=("tunixrt reproduce 5d1f0c", "tunixrt reproduce --all"))
@click.argument("run", required=False)
@click.option("--all", "every", is_flag=True, help="Reproduce every run that is here.")
@store_options
def reproduce(store: Store, run: str | None, every: bool, as_json: bool) -> int:
    """Make RUN again from what is committed, and compare every output with the recorded one.

    A training run is trained again and every evaluation of it is made again with the new weights.
    The verdict is identical, close (only where identity was not promised: numeric mode fast on
    another numeric class) or diverged, which exits 1 and names the first difference.
    """
    if (run is None) == (not every):
        raise click.UsageError("Name one RUN, or say --all.")
    with Progress("reproducing", "step") as progress:

        def begin(what: str) -> None:
            progress.verb = what

        verdicts = store.reproduce(
            run,
            on_start=begin,
            on_progress=progress.show,
        )
    worst = max((v.verdict for v in verdicts), key=list(Verdict).index)
    if as_json:
        first = next((v.first_difference for v in verdicts if v.first_difference), None)
        emit_json({"verdict": worst, "first_difference": first, "runs": verdicts})
    else:
        _print(verdicts, worst)
    return ExitCode.ANSWER_IS_NO if worst is Verdict.DIVERGED else ExitCode.DONE


def _print(verdicts: list[RunVerdict], worst: Verdict) -> None:
    rows = [
        (
            v.kind,
            short(v.run_id),
            f"{sum(f.same for f in v.files)} of {len(v.files)}",
            v.expected,
            v.verdict,
        )
        for v in verdicts
    ]
    click.echo(table(("made again", "run", "files the same", "promised", "verdict"), rows))
    for v in verdicts:
        if v.reasons and v.verdict is not Verdict.IDENTICAL:
            say(f"{short(v.run_id)}: identity is not promised here: {'; '.join(v.reasons)}.")
        if v.first_difference is not None:
            say(f"{short(v.run_id)}: first difference: {v.first_difference}")
    n_files = sum(len(v.files) for v in verdicts)
    click.echo(f"{worst}: {count(len(verdicts), 'run')}, {count(n_files, 'file')} compared.")
