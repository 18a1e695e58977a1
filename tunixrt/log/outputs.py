"""Files and directories that the user names (``-o``): whole or not at all, nothing else touched.

A regular file is written beside its place under a temporary name and renamed over it when it is
complete: a reader sees the old or the new bytes, and a failure leaves the old. Everything else that
a path can name is written through, as ``cat > PATH`` would: a FIFO, a terminal, ``/dev/stdout``,
``/dev/fd/N`` (process substitution). A symbolic link stays, and its target is replaced. Of a
directory, only files that its manifest lists are replaced or removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.files import sync_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_STAGED: Final = ".tunixrt-"
_MAX_LINKS: Final = 40
#: ``/dev/fd`` is a link to the first on Linux, and a directory of its own elsewhere.
_DESCRIPTORS: Final = re.compile(r"(?:/proc/(\d+)(?:/task/\d+)?|/dev)/fd")


class OutputPathError(BadInputError):
    """A path that was given for an output cannot be written.

    Attributes:
        path: The path as it was given.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path


class ForeignDirectoryError(OutputPathError):
    """The directory holds files that tunixrt did not write, and writing would replace them."""


class _Manifest(msgspec.Struct, frozen=True):
    """The files that tunixrt wrote into a directory, and the command that wrote them."""

    made_by: str
    files: list[str]


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that the user named; when the block ends, it is complete or unchanged.

    An existing regular file is replaced with its permissions kept. Whatever is not a regular file
    is written through, and keeps what was written before a failure.

    Args:
        path: Any path: a file, a link, a FIFO, ``/dev/stdout``.

    Yields:
        A file for bytes.

    Raises:
        OutputPathError: It is a directory, or in a directory that does not exist.
        OSError: The file system refuses.
    """
    target = _final(path)
    with _named(path):
        status = _status(path, target)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise OutputPathError(path, "is a directory; a file was expected.")
        if isinstance(target, int):
            opened = os.fdopen(os.dup(target), "wb")
        elif status is not None and not stat.S_ISREG(status.st_mode):
            opened = os.fdopen(os.open(target, os.O_WRONLY), "wb")
        else:
            with _replacing(path, target, status) as file:
                yield file
            return
        with opened as file:
            yield file


def is_replaced(path: Path) -> bool:
    """Return whether ``output_file`` makes or replaces a file at a path; else it writes through."""
    target = _final(path)
    status = _status(path, target)
    return isinstance(target, Path) and (status is None or stat.S_ISREG(status.st_mode))


@contextlib.contextmanager
def output_directory(
    directory: Path, *, manifest: str, made_by: str, facts: Mapping[str, object] | None = None
) -> Iterator[Path]:
    """Make or replace a directory that the user named; files of other programs stay.

    When the block ends without an exception, what it wrote into the directory that it receives
    replaces what an earlier block wrote. Other files in the directory stay.

    Args:
        directory: A new or empty directory, or one that was made like this before. Missing parents
            are made.
        manifest: The name of the file in it that lists the others.
        made_by: The command, for the manifest and for messages.
        facts: Further fields of the manifest; read when the block has ended.

    Yields:
        An empty directory to write into.

    Raises:
        ForeignDirectoryError: It holds something else.
        OutputPathError: It is not a directory.
        OSError: The file system refuses.
    """
    place = Path(os.path.realpath(directory))
    if place.exists() and not place.is_dir():
        raise OutputPathError(directory, "is not a directory; a directory was expected.")
    before = _read_manifest(directory, place, manifest, made_by)
    staged = place / f"{_STAGED}{secrets.token_hex(16)}"
    with _named(directory), _made(place):
        try:
            staged.mkdir()
            yield staged
            _take_place(directory, staged, place, before, _Writer(manifest, made_by, facts or {}))
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def listed_files(directory: Path, *, manifest: str, made_by: str) -> set[str]:
    """Return the names of the files that ``output_directory`` has written into a directory.

    Raises:
        ForeignDirectoryError: It holds something else.
        OSError: It cannot be read.
    """
    return _read_manifest(directory, Path(os.path.realpath(directory)), manifest, made_by)


def listing(made_by: str, names: Iterable[str], facts: Mapping[str, object]) -> bytes:
    """Return the bytes of a manifest: the command, the names of its files, and further fields."""
    document = {"made_by": made_by, "files": sorted(names), **facts}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


class _Writer(msgspec.Struct, frozen=True):
    manifest: str
    made_by: str
    facts: Mapping[str, object]

    def write(self, place: Path, staged: Path, names: set[str]) -> None:
        """Replace the manifest."""
        path = staged / self.manifest
        path.write_bytes(listing(self.made_by, names, self.facts))
        path.replace(place / self.manifest)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the user's path into errors of the block that name no path, or a temporary one."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader closed the pipe
    except OSError as error:
        name = str(error.filename or "")
        if name and not any(part.startswith(_STAGED) for part in Path(name).parts):
            raise
        raise OutputPathError(
            path, f"could not be written: {error.strerror or error}. Free space or permissions."
        ) from error


def _status(path: Path, target: Path | int) -> os.stat_result | None:
    """Return the status of the target; None if it does not exist."""
    try:
        return os.fstat(target) if isinstance(target, int) else target.stat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise OutputPathError(path, "is inside of something that is not a directory.") from None


def _final(path: Path) -> Path | int:
    """Return where links lead: a path, which need not exist, or an open descriptor."""
    current = path.absolute()
    for _ in range(_MAX_LINKS):
        directory = os.path.realpath(current.parent)
        current = Path(directory, current.name)
        descriptors = _DESCRIPTORS.fullmatch(directory)
        if descriptors is not None and current.name.isascii() and current.name.isdigit():
            own = descriptors[1] in {None, str(os.getpid())}
            # A file that another process has open is opened by this name: its link leads to no
            # path.
            return int(current.name) if own else current
        if not current.is_symlink():
            return current
        current = Path(directory, current.readlink())
    raise OutputPathError(path, "leads in a circle of links.")


@contextlib.contextmanager
def _replacing(path: Path, target: Path, status: os.stat_result | None) -> Iterator[BinaryIO]:
    if not target.parent.is_dir():
        raise OutputPathError(
            path, f"cannot be written: the directory {target.parent} does not exist. Make it first."
        )
    if status is not None and not os.access(target, os.W_OK):
        raise OutputPathError(path, "cannot be written: it is read-only.")
    # Opened with O_EXCL under 128 random bits, so no other process has this name.
    staged = target.parent / f"{_STAGED}{secrets.token_hex(16)}"
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            if status is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            yield file
        sync_file(staged)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)


def _read_manifest(directory: Path, place: Path, manifest: str, made_by: str) -> set[str]:
    """Return the files that an earlier block wrote.

    Raises:
        ForeignDirectoryError: The directory holds other files and no manifest.
    """
    if not place.exists():
        return set()
    # A process that was killed leaves its staging directory behind.
    if all(path.name.startswith(_STAGED) for path in place.iterdir()):
        return set()
    path = place / manifest
    try:
        data = path.read_bytes() if path.is_file() else b""
        found = msgspec.json.decode(data, type=_Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        pass
    else:
        if found.made_by == made_by and all(map(_is_plain, found.files)):
            return set(found.files)
    raise ForeignDirectoryError(
        directory,
        f"is not empty and was not made by `{made_by}` (no {manifest} lists what that command "
        "wrote). Name an empty or a new directory.",
    )


def _is_plain(name: str) -> bool:
    """Return whether a name stays below the directory; a manifest is untrusted input."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


@contextlib.contextmanager
def _made(place: Path) -> Iterator[None]:
    """Make a directory and its parents; remove those that were made if the block fails."""
    missing = [one for one in (place, *place.parents) if not one.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for one in missing:
            with contextlib.suppress(OSError):  # not empty: something was published
                one.rmdir()
        raise


def _take_place(
    directory: Path, staged: Path, place: Path, before: set[str], writer: _Writer
) -> None:
    """Move every staged file into place, and remove those that only the earlier block wrote."""
    names = {p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file()}
    for name in sorted(names | before):
        path = place / name
        # A directory that is a link could lead out of here.
        outside = os.path.realpath(path.parent) != str(path.parent)
        if outside or (name not in before and os.path.lexists(path)):
            raise ForeignDirectoryError(
                directory,
                f"holds {name}, which `{writer.made_by}` did not write. Move it elsewhere.",
            )
    # Listed before it exists: a process that dies in between leaves no unlisted file.
    writer.write(place, staged, names | before)
    for name in sorted(names):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (staged / name).replace(path)
    for name in sorted(before - names):
        (place / name).unlink(missing_ok=True)
        for parent in PurePosixPath(name).parents[:-1]:
            with contextlib.suppress(OSError):  # not empty
                (place / parent).rmdir()
    writer.write(place, staged, names)
