"""What Git tracks and this work tree does not have, and why.

A sparse checkout leaves out files that the repository has, on purpose. What is left out is not
damaged: it cannot be checked, and the tool reports that. Any other file that is missing was lost,
and Git mostly knows where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tunixrt.log.git import GitError, files_not_checked_out, git

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tunixrt.log.git import GitFile
    from tunixrt.log.layout import Layout


class Checkout:
    """Which files a sparse checkout leaves out, and which of them were asked for.

    Attributes:
        missed: The paths that ``lacks`` was asked about and that are left out, relative to the
            root of the store.
    """

    def __init__(self, left_out: Iterable[GitFile] = ()) -> None:
        self._oids: dict[str, str] = {}
        self._above: set[str] = set()
        self.missed: set[str] = set()
        for file in left_out:
            self._oids[file.path] = file.oid
            above = file.path.rpartition("/")[0]
            while above and above not in self._above:
                self._above.add(above)
                above = above.rpartition("/")[0]

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Return what Git reports. Without Git or a repository, nothing is left out."""
        paths = tuple(map(layout.relative, (layout.store, layout.runs, layout.evalsets)))
        try:
            return cls(files_not_checked_out(layout.root, paths))
        except GitError:
            return cls()

    def lacks(self, place: str) -> bool:
        """Return whether a file, or something below a directory, is left out; record if it is."""
        is_left_out = place in self._oids or place in self._above
        if is_left_out:
            self.missed.add(place)
        return is_left_out

    def oid(self, place: str) -> str | None:
        """Return the blob that Git tracks for a file that is left out; None for any other file."""
        return self._oids.get(place)

    def below(self, place: str) -> list[str]:
        """Return what is left out directly below a directory: names of files or directories."""
        start = f"{place}/"
        names = {*self._oids, *self._above}
        return sorted({n[len(start) :].split("/")[0] for n in names if n.startswith(start)})


def why_absent(root: Path, place: str) -> str:
    """Return why a file or directory of a store is missing, and what restores it.

    It runs Git, so call it only for the one path that stops a command.

    Args:
        root: The root of the store.
        place: The path relative to it.
    """
    try:
        return _why(root, place)
    except GitError:
        return (
            "Bring back its files from Git, or from wherever this store was copied: a log that "
            "lacks a segment is not the log."
        )


def _why(root: Path, place: str) -> str:
    tracked = git(root, "ls-files", "-t", "-z", "--", place)
    if any(record.startswith(b"S ") for record in tracked.split(b"\0")):
        return (
            "Git tracks it, and this sparse checkout leaves it out: "
            f"`git sparse-checkout add {place}` brings it, `git sparse-checkout disable` "
            "everything. A log must be complete."
        )
    if tracked:
        return f"Git tracks it, and it was deleted here: `git checkout -- {place}` brings it back."
    found = _commit(root, "D", "HEAD", place)
    if found:
        return (
            f"The commit {found} removed it, as `git revert` of an import does: `git checkout "
            f"{found}^ -- {place}` brings it back. The log only grows; to withdraw traces, use "
            "`tunixrt trace retract` instead."
        )
    found = _commit(root, "A", "--all", place)
    if found:
        return (
            f"The commit {found} added it and is not merged here, as after `git cherry-pick` of "
            f"a later import: merge its branch, or run `git checkout {found} -- {place}`."
        )
    return (
        "No commit here has it: `git fetch` (with `--unshallow` in a shallow clone) brings the "
        f"branch that does, and `git log --all --oneline -- {place}` then names the commit; merge "
        "its branch. A patch or a cherry-pick carries no earlier import."
    )


def _commit(root: Path, change: str, where: str, place: str) -> str:
    asked = ("log", "-1", "--full-history", "--no-renames", "--format=%h", where)
    return git(root, *asked, f"--diff-filter={change}", "--", place).decode().strip()
