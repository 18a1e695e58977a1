"""Opens files of a store: only plain files, and never through a symbolic link.

A digest proves bytes, not where they come from: weights that are a link out of the repository are
valid here and missing in every clone. A FIFO would block a reader permanently. And Git LFS leaves a
pointer, which is text, in place of a file. So every reader of a store opens files here, and a
refusal is an ``OSError`` whose ``strerror`` states what was found and what to do.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_MAX_POINTER_BYTES: Final = 1024  # from the specification of Git LFS

_POINTER_SENTENCE: Final = (
    "it is a Git LFS pointer, and the file that it stands for was not fetched; "
    "run `git lfs install`, then `git lfs pull`"
)
_LINK_SENTENCE: Final = (
    "it is a symbolic link, and a store is never read through one; put the file or directory "
    "itself in its place"
)
_KINDS: Final = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISBLK, "block device"),
    (stat.S_ISCHR, "character device"),
)


def open_stored(path: Path) -> BufferedReader:
    """Return a file of a store, open for reading.

    Raises:
        OSError: If it is not a plain file that can be read, or is a pointer of Git LFS. It never
            blocks, as opening a FIFO would.
    """
    return os.fdopen(open_descriptor(path), "rb")


def read_stored(path: Path) -> bytes:
    """Return the bytes of a file of a store.

    Raises:
        OSError: As ``open_stored``.
    """
    with open_stored(path) as file:
        return file.read()


def open_descriptor(path: Path) -> int:
    """Open a file of a store for reading; return the descriptor, which the caller closes.

    Raises:
        OSError: As ``open_stored``.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        # Some systems report EMLINK for a link; a socket cannot be opened.
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(errno.ELOOP, _LINK_SENTENCE, os.fspath(path)) from None
        if error.errno == errno.ENXIO:
            raise _not_plain(path, os.lstat(path).st_mode) from None
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise _not_plain(path, facts.st_mode)
        _refuse_pointer(descriptor, facts.st_size, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refuse_pointer(file: BinaryIO, path: Path) -> None:
    """Refuse a file that is open, and may be of any kind, if it is a pointer of Git LFS.

    Raises:
        OSError: If it is.
    """
    facts = os.fstat(file.fileno())
    if stat.S_ISREG(facts.st_mode):
        _refuse_pointer(file.fileno(), facts.st_size, path)


def refuse_links(path: Path, root: Path) -> None:
    """Refuse a path below a root if it, or a directory on the way to it, is a symbolic link.

    The root itself may be one, or be behind one: the user decides where a store is.

    Raises:
        OSError: If one is, with its name; or if the path does not exist.
    """
    at = os.fspath(root)
    for name in path.relative_to(root).parts:
        at = f"{at}{os.sep}{name}"
        if stat.S_ISLNK(os.lstat(at).st_mode):
            raise OSError(errno.ELOOP, _LINK_SENTENCE, at)


def is_plain_directory(path: Path) -> bool:
    """Return whether a path is a directory, and not a symbolic link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def is_plain_file(path: Path) -> bool:
    """Return whether a path is a file, and neither a symbolic link nor anything else."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def kind_of(mode: int) -> str:
    """Name the kind of a file, given its mode: "directory", "FIFO", "symbolic link"."""
    if stat.S_ISLNK(mode):
        return "symbolic link"
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "plain file")


def not_plain_sentence(mode: int) -> str:
    """Return why something is not a file of a store, given its mode (of ``lstat``)."""
    if stat.S_ISLNK(mode):
        return _LINK_SENTENCE
    return f"it is a {kind_of(mode)} and should be a plain file; move it elsewhere"


def _refuse_pointer(descriptor: int, size: int, path: Path) -> None:
    if size < _MAX_POINTER_BYTES and os.pread(descriptor, len(_POINTER), 0) == _POINTER:
        raise OSError(errno.ENODATA, _POINTER_SENTENCE, os.fspath(path))


def _not_plain(path: Path, mode: int) -> OSError:
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    return OSError(number, not_plain_sentence(mode), os.fspath(path))
