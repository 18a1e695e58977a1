"""Arguments that name texts: a file, or ``-`` for standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tunixrt.traces.importers.lines import OpenText


def text_sources(files: tuple[str, ...]) -> list[Path | OpenText]:
    """What the arguments name. A file that is called ``-`` is ``./-``.

    Raises:
        click.UsageError: Standard input is named twice, and can be read once; or a name is empty,
            as that of a shell variable that is not set, and would be the current directory.
    """
    from tunixrt.traces.importers.file_kinds import STDIN
    from tunixrt.traces.importers.lines import OpenText

    if files.count("-") > 1:
        raise click.UsageError("- is standard input, and can be given once.")
    if "" in files:
        raise click.UsageError("The name of a FILE is empty.")
    return [OpenText(STDIN, sys.stdin.buffer) if file == "-" else Path(file) for file in files]
