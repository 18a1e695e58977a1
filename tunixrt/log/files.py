"""Durable files that appear whole or not at all: staging, fsync, and one rename.

Everything is written under ``store/.tmp/`` first, which is on the same file system and ignored by
Git. A directory or file is renamed into place only when its bytes are on the disk, and the call
returns only when its name is, too. A process that dies before that leaves only a directory
under ``store/.tmp/``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.errors import BadInputError
from tunixrt.log.stored import is_plain_directory, read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.layout import Layout

# On macOS fsync leaves the bytes in the drive's cache; F_FULLFSYNC is what POSIX means by fsync.
_FULL_FSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


class WriteError(BadInputError):
    """The file system refused a write; nothing was published.

    Attributes:
        path: The file or directory that could not be written.
        reason: The message of the operating system.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(
            f"{path} could not be written: {reason}. "
            "Nothing was recorded; free space or permissions, and run the command again."
        )
        self.path = path
        self.reason = reason


class UnconfirmedWriteError(BadInputError):
    """Something was published, and the disk did not confirm that it is durable.

    Attributes:
        path: The file or directory that was published.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} is in place, but the disk did not confirm it: {error.strerror or error}. "
            "Check the disk, and run the command again: what exists already is not recorded twice."
        )
        self.path = path


class NoCurrentDirectoryError(BadInputError):
    """A relative path was given in a directory that was removed.

    Attributes:
        path: The path as it was given.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The path {path} is relative, and the current directory no longer exists: "
            "change to another directory, or give an absolute path."
        )
        self.path = path


class ImmutableFileError(BadInputError):
    """An immutable file exists already, with other bytes.

    Attributes:
        path: The file that exists.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} exists already with other bytes, and such a file never changes. "
            "Nothing was written; `tunixrt verify` reports which of the two is right."
        )
        self.path = path


def absolute(path: Path) -> Path:
    """Return a path that names the same file from any current directory.

    Every path that outlives the call that received it goes through here once, where it comes in.
    Symbolic links stay as they were spelt, so that messages name what the user typed; only a path
    with ``..`` is resolved, since the parent of a link is not the directory above its name.

    Raises:
        NoCurrentDirectoryError: If the path is relative, and to a directory that was removed.
    """
    try:
        whole = path.absolute()
    except FileNotFoundError:
        raise NoCurrentDirectoryError(path) from None
    # Not Path.resolve(): on a loop of links it fails up to Python 3.12, and does not from 3.13 on.
    return Path(os.path.realpath(whole)) if ".." in whole.parts else whole


def new_directory(parent: Path) -> Path:
    """Make an empty directory with a unique name in another one, and return its path.

    Raises:
        OSError: If the file system refuses.
    """
    # mkdtemp returns the path as it was given up to Python 3.11, and a rewritten one from 3.12 on.
    return parent / Path(tempfile.mkdtemp(dir=parent)).name


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a WriteError that names the path.

    Raises:
        WriteError: If the file system refused.
    """
    try:
        yield
    except OSError as error:
        raise WriteError(Path(error.filename or path), error) from error


@contextlib.contextmanager
def staging_directory(layout: Layout) -> Iterator[Path]:
    """Make an empty directory with a unique name under ``store/.tmp/``; remove it at the end.

    Whatever is to be kept must be renamed out of it by ``publish_directory``.

    Raises:
        WriteError: If the directory cannot be made.
    """
    with writing(layout.staging):
        layout.staging.mkdir(parents=True, exist_ok=True)
        # mkdtemp makes a directory that only its owner can read. What gets published is the
        # directory inside, whose mode is that of any other directory.
        outer = new_directory(layout.staging)
        staged = outer / "staged"
        staged.mkdir()
    try:
        yield staged
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def publish_directory(staged: Path, destination: Path) -> bool:
    """Rename a staged directory into place, durably.

    Args:
        staged: A directory of plain files and directories, on the file system of the destination.
        destination: Where it goes; missing parents are made.

    Returns:
        True if it was renamed, False if the destination already holds a directory with files
        (which the caller compares with what it meant to publish).

    Raises:
        WriteError: If the file system refuses.
    """
    with writing(destination):
        for path in sorted(staged.rglob("*")):
            sync_file(path)
        sync_directory(staged)
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.rename(destination)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            published = False
        else:
            published = True
    _confirm(destination, staged)
    return published


def publish_file(path: Path, data: bytes, staging: Path) -> None:
    """Create an immutable file, whole and durably; never replace one that has other bytes.

    Two processes that create one name at the same time write the same bytes, since a name here is a
    digest or a constant. So looking first and renaming then is enough, and works on file systems
    without hard links.

    Args:
        path: The file. Its parents are made.
        data: Its bytes.
        staging: A staging directory (see ``staging_directory``).

    Raises:
        ImmutableFileError: If the file exists with other bytes; with the same bytes, nothing is
            done.
        WriteError: If the file system refuses.
    """
    with writing(path):
        staged = staging / path.name
        write_file(staged, data)
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            if read_stored(path) != data:
                raise ImmutableFileError(path)
        else:
            staged.rename(path)
    _confirm(path, staged)


def replace_file(path: Path, data: bytes, staging: Path) -> None:
    """Replace the bytes of a file, atomically and durably: readers see the old or the new.

    Raises:
        WriteError: If the file system refuses; the old bytes remain.
    """
    with writing(path):
        staged = staging / path.name
        write_file(staged, data)
        staged.replace(path)
    _confirm(path, staged)


def remove(path: Path) -> None:
    """Remove a derived file, or whatever else has its name; it may be missing.

    Raises:
        OSError: If the file system refuses.
    """
    if is_plain_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and wait until its bytes are on the disk.

    Raises:
        OSError: If the file system refuses.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        _sync(file.fileno())


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk.

    Raises:
        OSError: If the file system refuses.
    """
    _sync_path(path, os.O_RDONLY)


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk.

    Raises:
        OSError: If the file system refuses.
    """
    _sync_path(path, os.O_RDONLY | os.O_DIRECTORY)


def _confirm(path: Path, staged: Path) -> None:
    """Wait until a published name is on the disk, and those of all directories on the way to it.

    All of them, also those that this process did not make: another process may have made a
    directory, or published the same bytes, a moment ago without reaching its fsync yet, and the
    caller is about to acknowledge what is below.

    Raises:
        UnconfirmedWriteError: If the file system refuses.
    """
    top = Path(os.path.commonpath((path, staged)))
    directory = path.parent
    try:
        while directory != top:
            sync_directory(directory)
            directory = directory.parent
        sync_directory(top)
    except OSError as error:
        raise UnconfirmedWriteError(path, error) from error


def _sync_path(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    if _FULL_FSYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_FSYNC)
