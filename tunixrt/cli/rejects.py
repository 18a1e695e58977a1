"""The files of rejected records that a quarantining import writes beside what it read."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.cli.output import writing_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from tunixrt.traces.importers.records import Rejection


class RejectsFiles(contextlib.ExitStack):
    """``FILE.rejects.jsonl`` of each file with rejected records.

    They are published at the end of the ``with`` block; an error leaves nothing behind.

    Input without a directory, such as standard input or a pipe, has its rejects in the current
    directory. If one file for all rejects is given, they go there.
    """

    def __init__(self, for_all: Path | None = None) -> None:
        super().__init__()
        self._for_all = for_all
        self._open: dict[Path, BinaryIO] = {}
        self._published: set[Path] = set()
        self._paths: dict[str, Path] = {}
        self._rejecting: set[str] = set()

    def add(self, rejection: Rejection) -> None:
        """Add a rejected record."""
        path = self._path(rejection.file)
        self._rejecting.add(rejection.file)
        if path not in self._open:
            self._open[path] = self.enter_context(self._publishing(path))
        self._open[path].write(rejection.as_line())

    def of(self, file: str) -> Path | None:
        """The rejects of this file, once they are published; None where it has none."""
        path = self._path(file)
        return path if path in self._published and file in self._rejecting else None

    @contextlib.contextmanager
    def _publishing(self, path: Path) -> Iterator[BinaryIO]:
        with writing_to(path) as file:
            yield file
        self._published.add(path)

    def _path(self, file: str) -> Path:
        if self._for_all is not None:
            return self._for_all
        if file not in self._paths:
            path = Path(file)
            place = path.parent if path.is_file() else Path()
            self._paths[file] = place / f"{path.name}.rejects.jsonl"
        return self._paths[file]
