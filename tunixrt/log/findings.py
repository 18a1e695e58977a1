"""What a verification found: one record per problem, with the file and the line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from tunixrt.errors import AnswerIsNoError
from tunixrt.log.stored import not_plain_sentence, refuse_links

#: Files that desktops write into every directory they show, and those that keep an empty directory
#: in Git. They are not part of a store and are ignored.
_PASSED_OVER: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory", ".gitkeep"})


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that does not follow the format.

    Attributes:
        path: The file or directory, relative to the root of the store, with forward slashes.
        problem: A sentence: what is wrong.
        line: The line in that file, counted from 1, where one can be named.
        expected: What should be there.
        found: What is there instead.
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
    """Something in the store does not follow the format.

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
    """Return the entries of a directory of a store, by name; none if it does not exist.

    Files that a desktop has left (``.DS_Store``) are left out.

    Raises:
        DamagedError: If it cannot be listed, is not a directory, or is reached through a symbolic
            link.
    """
    try:
        refuse_links(directory, root)
        with os.scandir(directory) as found:
            return sorted(
                (entry for entry in found if not is_passed_over(entry)),
                key=lambda entry: entry.name,
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        problem = f"The directory cannot be listed: {error.strerror}."
        at = Path(os.fsdecode(error.filename or directory))
        raise DamagedError(Finding(place(at, root), problem)) from None


def is_passed_over(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file that desktops leave, such as ``.DS_Store``."""
    return entry.name in _PASSED_OVER and entry.is_file(follow_symlinks=False)


def files_below(directory: Path, root: Path) -> tuple[list[str], list[Finding]]:
    """Return the plain files below a directory, and a finding for whatever else is there.

    Returns:
        Their paths relative to the directory, with forward slashes, sorted; and what is neither a
        plain file nor a directory, or cannot be listed.
    """
    names: list[str] = []
    findings: list[Finding] = []
    unread = [""]
    while unread:
        prefix = unread.pop()
        try:
            listed = entries(directory / prefix, root)
        except DamagedError as error:
            findings.append(error.finding)
            continue
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                unread.append(f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                names.append(prefix + entry.name)
            else:
                findings.append(not_plain(directory / prefix / entry.name, root))
    return sorted(names), findings


def not_plain(path: Path, root: Path) -> Finding:
    """Return the finding for a path that should be a plain file and is not."""
    sentence = not_plain_sentence(path.lstat().st_mode)
    return Finding(place(path, root), f"This is not a file of a store: {sentence}.")
