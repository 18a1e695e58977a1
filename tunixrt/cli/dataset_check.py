"""`tunixrt dataset check`: leaks, duplicates, empty answers, sources."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import datasets, evalsets
from tunixrt.cli.output import count, emit_json, say, short
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from tunixrt.jobs.dataset_check import DatasetCheck
    from tunixrt.store import Store


def _share(_: click.Context, __: click.Parameter, given: str | None) -> Fraction | None:
    if given is None:
        return None
    try:
        share = Fraction(given)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise click.BadParameter(f"expected a number above 0 and up to 1, found {given!r}.")
    return share


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt dataset check gsm-v1",
        "tunixrt dataset check gsm-v1 --evalset sums --max-share 0.8",
    ),
)
@click.argument("key", shell_complete=datasets)
@click.option(
    "--evalset",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=evalsets,
    help="Compare with this eval set, too; may be repeated.",
)
@click.option(
    "--max-share",
    metavar="FRACTION",
    callback=_share,
    help="The part of the traces that one source may have, such as 0.8.",
)
@store_options
def check(
    store: Store,
    key: str,
    names: tuple[str, ...],
    max_share: Fraction | None,
    as_json: bool,
) -> ExitCode:
    """Check what is in a dataset; exit 1 if something is wrong.

    Looks for prompts that are in several splits, samples of an eval set in the splits that are
    trained on, traces that repeat another one, traces without an answer, and sources with too large
    a share. Nothing is changed.
    """
    found = store.datasets[key].check(
        evalsets=[store.evalsets[name] for name in names], max_share=max_share
    )
    if as_json:
        emit_json(msgspec.structs.asdict(found) | {"ok": found.ok})
    else:
        _print(found)
    return ExitCode.DONE if found.ok else ExitCode.ANSWER_IS_NO


def _print(found: DatasetCheck) -> None:
    redacted = f", {found.n_redacted:,} redacted" * bool(found.n_redacted)
    say(f"{found.dataset_key}: {count(found.n_traces, 'trace')}{redacted}.")
    for finding in found.findings:
        click.echo(f"{finding.fault}: {finding.sentence}")
        for group in finding.examples:
            click.echo(f"  {' '.join(short(trace) for trace in group)}")
    if found.n_repeated_prompts:
        repeated = count(found.n_repeated_prompts, "trace")
        say(f"{repeated} with a prompt that an earlier one of the split has: several solutions.")
    sources = ", ".join(f"{name} {n:,}" for name, n in found.sources.items())
    say(f"Sources: {sources or 'none'}.")
    if found.ok:
        against = f", compared with {', '.join(found.evalsets)}" if found.evalsets else ""
        say(f"Nothing is wrong{against}.")
