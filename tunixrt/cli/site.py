"""`tunixrt site`: a static site of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.output import count, emit_json, say
from tunixrt.cli.progress import Progress

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.group(cls=NounGroup)
def site() -> None:
    """A static site of the store: datasets, runs, leaderboard, traces."""


@site.command(
    examples=(
        "tunixrt site build -o public",
        'tunixrt site build -o public --title "Our traces"',
        "tunixrt site build -o public --check",
    )
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("site"),
    show_default=True,
    metavar="DIR",
    help="A new or an empty directory, or one of an older site, whose files are replaced.",
)
@click.option(
    "--title", default="tunixrt store", show_default=True, metavar="TEXT", help="Name of the site."
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit 1 unless DIR contains the site that follows from the store.",
)
@store_options
def build(store: Store, output: Path, title: str, check: bool, as_json: bool) -> None:
    """Build a site that needs no server: open index.html, or put DIR on a forge's pages.

    It shows datasets, runs, the leaderboard, comparisons, and every trace, with search and diffs.
    Redacted traces are not in it, and building again removes those that were redacted since. The
    bytes depend on the store and the title alone.
    """
    with Progress("writing", "trace") as progress:
        built = store.build_site(output, title=title, check=check, on_progress=progress.show)
    if as_json:
        emit_json({"directory": str(output), **msgspec.structs.asdict(built)})
        return
    say(
        f"{count(built.n_pages, 'page')} and {count(built.n_traces, 'trace')}: "
        f"{count(built.n_files, 'file')}, {built.size_bytes / 1e6:.1f} MB."
    )
    click.echo(output / "index.html")
