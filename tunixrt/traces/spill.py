"""A private database for one command, in memory while it is small and on disk beyond.

SQLite keeps its pages in a cache of bounded size and spills the rest to a temporary file, which
disappears with the process. Nothing in it outlives the command, so nothing in it can be stale.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from tunixrt.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_CACHE_KIB: Final = 24 * 1024


class SpillError(BadInputError):
    """The temporary file of a table could not be read or written, most likely for lack of space."""

    def __init__(self, error: sqlite3.Error | OSError) -> None:
        super().__init__(
            f"A table of traces did not fit into memory and could not be kept on disk: {error}. "
            "Nothing was published; free space in the directory for temporary files, or name "
            "another one in TMPDIR."
        )


class SpillDatabase(sqlite3.Connection):
    """A connection that raises a SpillError when its temporary file fails.

    SQL takes its parameters in order: plain ``?`` and a sequence. Python deprecates a numbered
    ``?1`` with a sequence since 3.12.
    """

    def __del__(self) -> None:
        """Close a connection that its owner left open; Python warns of one since 3.13."""
        # Not opened at all, or collected in another thread: then there is nothing to close here.
        with contextlib.suppress(sqlite3.ProgrammingError):
            self.close()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement.

        Raises:
            SpillError: The temporary file failed.
        """
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            raise SpillError(error) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run a statement once for each row.

        Raises:
            SpillError: The temporary file failed.
        """
        try:
            return super().executemany(sql, parameters)
        except sqlite3.OperationalError as error:
            raise SpillError(error) from error


def spill() -> SpillDatabase:
    """Return an empty private database with a bounded cache."""
    database = sqlite3.connect("", isolation_level=None, factory=SpillDatabase)
    # It never outlives the process, so neither rollback nor sync is needed.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("PRAGMA temp_store = FILE")
    return database
