"""Asking Git about the repository around a store, through its plumbing and nothing else.

Git is looked up when it is needed. A store works without it; comparing a store with its history
does not.
"""

from __future__ import annotations

import subprocess
from typing import IO, TYPE_CHECKING, Self

import msgspec

from tunixrt.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class GitError(BadInputError):
    """Git is not installed, refuses, or does not know the object that is asked for."""


class GitFile(msgspec.Struct, frozen=True):
    """A file in a Git tree: its path below the root that was asked about, and its blob."""

    path: str
    mode: str
    oid: str


def git(
    root: Path, *arguments: str, given: bytes | None = None, no_is_an_answer: bool = False
) -> bytes:
    """Return what a Git command prints, run in a directory.

    Args:
        root: The directory.
        *arguments: The command.
        given: What it reads from its standard input.
        no_is_an_answer: Whether exit code 1 means that nothing was found, and not that it failed.

    Raises:
        GitError: If Git is not installed, or refuses; the message is Git's own.
    """
    done = _start(root, arguments, with_input=given is not None)
    out, err = done.communicate(given)
    if done.returncode and not (done.returncode == 1 and no_is_an_answer):
        said = (err or b"").decode(errors="replace").strip().removeprefix("fatal: ")
        raise GitError(f"Git cannot do this in {root}: {said.rstrip('.')}.")
    return out


def is_repository(root: Path) -> bool:
    """Return whether a directory is in the work tree of a Git repository."""
    try:
        return git(root, "rev-parse", "--is-inside-work-tree").strip() == b"true"
    except GitError:
        return False


def resolve_revision(root: Path, revision: str) -> str:
    """Return the commit that a revision names, as its hexadecimal id.

    Raises:
        GitError: If the directory is not in a repository, or the revision does not exist; for a
            shallow clone the message gives the command that gets it.
    """
    if not is_repository(root):
        raise GitError(
            f"{root} is not in the work tree of a Git repository that can be read: the revision "
            f"{revision!r} to compare with cannot be found."
        )
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    try:
        return git(root, *asked).decode().strip()
    except GitError:
        pass
    if git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise GitError(
            f"The revision {revision!r} is not in this clone, which is shallow: fetch the whole "
            "history. In GitHub Actions, give actions/checkout the option `fetch-depth: 0`; "
            "elsewhere, run `git fetch --unshallow`."
        )
    raise GitError(
        f"The revision {revision!r} does not exist in this repository: `git log --oneline --all` "
        "shows those that exist, and `git fetch` may bring it."
    )


def list_tree(root: Path, commit: str, paths: tuple[str, ...]) -> Iterator[GitFile]:
    """Yield the files of a commit at or below some paths, one at a time, in the order of Git.

    Args:
        root: A directory of the work tree; paths are relative to it.
        commit: The commit.
        paths: Files or directories. One that the commit does not have is skipped.

    Raises:
        GitError: If Git refuses.
    """
    process = _start(root, ("ls-tree", "-r", "-z", commit, "--", *paths))
    with process:
        assert process.stdout is not None
        for record in _records(process.stdout):
            facts, _, name = record.partition(b"\t")
            mode, kind, oid = facts.decode().split()
            if kind == "blob":
                yield GitFile(name.decode(errors="surrogateescape"), mode, oid)
        assert process.stderr is not None
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise GitError(f"Git cannot list {commit}: {said}.")


def files_not_checked_out(root: Path, paths: tuple[str, ...]) -> Iterator[GitFile]:
    """Yield the files at or below some paths that Git tracks and a sparse checkout leaves out.

    Raises:
        GitError: If Git is not installed, or the directory is in no repository that can be read.
    """
    process = _start(root, ("ls-files", "-t", "-s", "-z", "--", *paths))
    with process:
        assert process.stdout is not None
        for record in _records(process.stdout):
            if record.startswith(b"S "):
                facts, _, name = record.partition(b"\t")
                _, mode, oid, _ = facts.decode().split()
                yield GitFile(name.decode(errors="surrogateescape"), mode, oid)
        assert process.stderr is not None
        said = process.stderr.read().decode(errors="replace").strip().removeprefix("fatal: ")
    if process.returncode:
        raise GitError(f"Git cannot list what it tracks in {root}: {said.rstrip('.')}.")


class BlobReader:
    """Reads blobs one after the other through one `git cat-file --batch`; use it in a `with`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process = _start(root, ("cat-file", "--batch"), with_input=True, is_kept=True)
        self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()

    def open(self, oid: str) -> int:
        """Start reading a blob, which must be read to its end; return its size in bytes.

        Raises:
            GitError: If the blob is missing, as in a partial clone.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{oid}\n".encode())
        process.stdin.flush()
        answer = process.stdout.readline().split()
        if len(answer) != 3 or answer[1] != b"blob":
            raise GitError(f"Git does not have the contents of the blob {oid} in {self._root}.")
        self._left = int(answer[2])
        if not self._left:
            process.stdout.read(1)
        return self._left

    def read(self, n_bytes: int) -> bytes:
        """Return up to ``n_bytes`` bytes of the blob; none at its end.

        Raises:
            GitError: If Git stops before the end.
        """
        assert self._process.stdout is not None
        data = self._process.stdout.read(min(n_bytes, self._left))
        if len(data) < min(n_bytes, self._left):
            raise GitError("Git stopped in the middle of a blob: `git fsck` reports why.")
        self._left -= len(data)
        if data and not self._left:
            self._process.stdout.read(1)  # the line feed after it
        return data


def _start(
    root: Path, arguments: tuple[str, ...], *, with_input: bool = False, is_kept: bool = False
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=root,
            stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if is_kept else subprocess.PIPE,
        )
    except OSError as error:
        raise GitError(f"Git cannot be run: {error.strerror}. Is it installed?") from None


def _records(stream: IO[bytes]) -> Iterator[bytes]:
    """Split a stream at its NUL bytes."""
    rest = b""
    while piece := stream.read(64 * 1024):
        *records, rest = (rest + piece).split(b"\0")
        yield from records
