"""`tunixrt report`: a report on two evaluation runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.output import emit_json

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=("tunixrt report 5d1f0c 9ab34e", "tunixrt report 5d1f0c 9ab34e -o docs/showcase"),
)
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    show_default=True,
    metavar="DIR",
    help="The directory to write into.",
)
@store_options
def report(store: Store, before: str, after: str, output: Path, as_json: bool) -> None:
    """Compare two evaluation runs over the same eval set in a report that people read.

    The bytes of the report depend on the two runs alone.
    """
    written = store.report(before, after, output)
    if as_json:
        emit_json({"files": [str(path) for path in written]})
        return
    for path in written:
        click.echo(path)
