"""`tunixrt report`: a report on two evaluation runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import runs
from tunixrt.cli.output import emit_json
from tunixrt.cli.run import several_runs

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt report 5d1f0c 9ab34e",
        "tunixrt report 5d1f0c 9ab34e -o docs/showcase",
        "tunixrt report -o docs/showcase --check",
        "tunixrt report 5d1f0c,77aa02,0c9e41 9ab34e,ee1275,41d0b8",
    ),
)
@click.argument("before", metavar="BEFORE", required=False, shell_complete=runs)
@click.argument("after", metavar="AFTER", required=False, shell_complete=runs)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    show_default=True,
    metavar="DIR",
    help="A new or an empty directory, or one of an older report, whose files are replaced.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit 1 unless DIR contains the report that follows from the runs. Without "
    "BEFORE and AFTER, the runs are those that DIR states.",
)
@store_options
def report(
    store: Store,
    before: str | None,
    after: str | None,
    output: Path,
    check: bool,
    as_json: bool,
) -> None:
    """Compare two evaluation runs over the same eval set in a report that people read.

    BEFORE and AFTER may each be several runs, divided by commas: two ways of training, tried with
    the same number of seeds each, the first compared with the first. The bytes of the report depend
    on the runs and their names here alone.
    """
    if before is not None and after is not None:
        written = store.runs.report(several_runs(before), several_runs(after), output, check=check)
    elif before is None and check:
        written = store.runs.check_report(output)
    else:
        raise click.UsageError("Name both runs, BEFORE and AFTER.")
    if as_json:
        emit_json({"files": [str(path) for path in written]})
        return
    for path in written:
        click.echo(path)
