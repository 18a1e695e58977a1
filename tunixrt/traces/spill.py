"""A private database that exists for one command, in memory while it is small and on disk beyond.

SQLite keeps its pages in a cache of bounded size and spills the rest to a temporary file of its
own, which disappears with the process. Nothing in it outlives the command, so nothing in it can be
stale.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final

from tunixrt.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_CACHE_KIB: Final = 24 * 1024


class SpillError(BadInputError):
    """The temporary file of a table could not be read or written, most likely for lack of space."""

    def __init__(self, error: sqlite3.Error) -> None:
        super().__init__(
            f"A table of traces did not fit into memory and could not be kept on disk: {error}. "
            "Nothing was published; free space in the directory for temporary files, or name "
            "another one in TMPDIR."
        )


class SpillDatabase(sqlite3.Connection):
    """A connection that says in a sentence when its temporary file fails."""

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
    """An empty private database with a bounded cache."""
    database = sqlite3.connect("", isolation_level=None, factory=SpillDatabase)
    # It never outlives the process, so there is nothing to roll back to and nothing to sync.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("PRAGMA temp_store = FILE")
    return database
