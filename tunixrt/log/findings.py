"""What a verification found: one record a problem, with the file and the line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import AnswerIsNoError

if TYPE_CHECKING:
    from pathlib import Path


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that is not as the format says.

    Attributes:
        path: The file or directory, relative to the root of the store, with forward slashes.
        problem: A sentence that says what is wrong.
        line: The line in that file, counted from 1, where one can be named.
        expected: What should stand there.
        found: What stands there.
    """

    path: str
    problem: str
    line: int | None = None
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        """Return the finding as one sentence for a person."""
        where = self.path if self.line is None else f"{self.path}, line {self.line}"
        text = f"{where}: {self.problem}"
        if self.expected is not None:
            text += f" Expected {self.expected}."
        if self.found is not None:
            text += f" Found {self.found}."
        return text


class DamagedError(AnswerIsNoError):
    """Something in the store is not as the format says.

    Attributes:
        finding: What, and where.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding} `tunixrt verify` lists everything that is damaged.")
        self.finding = finding


def place(path: Path, root: Path) -> str:
    r"""Return a path as findings write it: relative to the root, with forward slashes.

    Bytes of a file name that are not UTF-8 are written as ``\xNN``, so that every finding can be
    printed.
    """
    return (
        path.relative_to(root)
        .as_posix()
        .encode(errors="surrogateescape")
        .decode(errors="backslashreplace")
    )


def entries(directory: Path, root: Path) -> list[os.DirEntry[str]]:
    """List a directory by name; one that does not exist is empty.

    Raises:
        DamagedError: If it cannot be listed, or is no directory.
    """
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        problem = f"The directory cannot be listed: {error.strerror}."
        raise DamagedError(Finding(place(directory, root), problem)) from None
