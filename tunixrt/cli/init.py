"""`tunixrt init`: make a store."""

from __future__ import annotations

from pathlib import Path

import click

from tunixrt.cli.base import ExampleCommand, json_option
from tunixrt.cli.output import emit_json, say


@click.command(cls=ExampleCommand, examples=("tunixrt init demo", "tunixrt init"))
@click.argument("directory", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@json_option
def init(directory: Path, as_json: bool) -> None:
    """Make a store in DIR (the current directory by default).

    Writes store/store.json, runs/, evalsets/, and the lines that .gitattributes and .gitignore
    need. Existing files stay as they are, so running it again changes nothing.
    """
    from tunixrt.store import Store

    store = Store.init(directory)
    problems = store.git_problems()
    if as_json:
        emit_json(
            {
                "root": str(store.root),
                "store_json": "store/store.json",
                "git_problems": problems,
            }
        )
        return
    for problem in problems:
        say(f"warning: {problem}")
    place = "this directory" if directory == Path() else directory
    say(f"A store is ready in {place}. Next: tunixrt trace import FILE")
