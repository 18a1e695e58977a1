"""Derivations: the one mechanism for everything that is derived from the log.

A derivation is an identity (the digests of its inputs and its settings, and nothing else) and a
pure `make` that writes files into a directory. The directory is published whole, under the digest
of the identity, with a manifest and ``SHA256SUMS``; to check it, the same `make` runs again.

- `obtain` publishes a derivation unless it exists: it takes the derivation's lock, makes it in a
  staging directory, and publishes it by one rename.
- `again` makes it in a staging directory, compares file by file and names the first difference.

Work that was interrupted (checkpoints, journals) is kept in ``.tunixrt/work/<kind>/<id>/`` beside
the lock, and removed when the derivation is published. Since the id is the digest of everything
that decides a byte, it does not matter which process left it.

Nothing here knows a kind. A kind is a subclass of `Derivation`, beside the code that makes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from tunixrt.derive.verdict import Comparable, Verdict, compare
from tunixrt.errors import StoreLockedError
from tunixrt.log import canonical
from tunixrt.log.digests import digest_bytes, digest_value, hex_of
from tunixrt.log.files import publish_directory, remove, staging_directory, writing
from tunixrt.log.findings import DamagedError, Finding
from tunixrt.log.lock import LockHeldError, Waiting, hold
from tunixrt.log.sums import ENVIRONMENTS, MANIFEST, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tunixrt.log.layout import Layout

WORK = "work"
_LOCK = "lock"

M = TypeVar("M", bound=msgspec.Struct)
Environment = dict[str, object]


class Execution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Start and duration of an execution; given by the caller, and never hashed."""

    started_at: str
    duration_s: float


@dataclass(frozen=True)
class Watch:
    """The callbacks of a job; the defaults do nothing.

    Attributes:
        on_begin: receives a description of what is made now.
        on_progress: receives the amount done, the total, and details of the kind.
        on_notice: receives sentences for the user.
        should_stop: is polled; True stops the job.
        stopwatch: returns when the job was started and how long it took.
    """

    on_begin: Callable[[str], None] | None = None
    on_progress: Callable[[int, int, Any], None] | None = None
    on_notice: Callable[[str], None] | None = None
    should_stop: Callable[[], bool] | None = None
    stopwatch: Callable[[], Execution] | None = None

    def begin(self, what: str) -> None:
        """Report what is made now."""
        if self.on_begin is not None:
            self.on_begin(what)

    def progress(self, done: int, total: int, detail: object = None) -> None:
        """Report progress."""
        if self.on_progress is not None:
            self.on_progress(done, total, detail)

    def notice(self, sentence: str) -> None:
        """Report a sentence to the user."""
        if self.on_notice is not None:
            self.on_notice(sentence)

    def execution(self) -> Execution | None:
        """Return when the job was started and how long it took so far; None without a stopwatch."""
        return None if self.stopwatch is None else self.stopwatch()


QUIET = Watch()


def derivation_id(identity: msgspec.Struct) -> str:
    """Return the 64 hex digits that name a derivation: the SHA-256 of its identity as JCS."""
    return hex_of(digest_value(msgspec.to_builtins(identity)))


class Derivation(Comparable, Generic[M]):
    """A result that is a function of its identity; each kind is a subclass, beside its code."""

    @property
    @abstractmethod
    def identity(self) -> msgspec.Struct:
        """The digests of all inputs, and every setting; no path, name or time."""

    @abstractmethod
    def make(self, directory: Path, watch: Watch, work: Path | None) -> M:
        """Write the files into an empty directory and return the manifest.

        Bytes and manifest are a function of the identity.

        Args:
            directory: the staging directory.
            watch: its callbacks.
            work: the directory for interrupted work; None keeps nothing.

        Raises:
            NotReproducibleError: an input is gone.
        """

    @property
    def id(self) -> str:
        """The 64 hex digits that name it."""
        return derivation_id(self.identity)

    def write_manifest(self, directory: Path, manifest: M) -> None:
        """Write the file that is about all others."""
        (directory / MANIFEST).write_bytes(encode_manifest(manifest))

    def environment(self, watch: Watch) -> Environment | None:  # noqa: ARG002
        """Return what is recorded of one execution, and never hashed; None for nothing."""
        return None


# --- making and finding --------------------------------------------------------------------------


class WorkHeldError(StoreLockedError):
    """Another process makes the same derivation.

    Attributes:
        kind: its kind.
        id: its id.
    """

    def __init__(self, kind: str, identifier: str, error: LockHeldError) -> None:
        who = "Another process" if error.holder is None else f"Process {error.holder.pid}"
        where = "" if error.holder is None else f" on {error.holder.host}"
        super().__init__(
            f"{who}{where} is making the {kind} {identifier[:12]} already (it holds {error.path}), "
            "and two would do the same work twice. Wait until it is done: then this command finds "
            "what it made. Or stop it: then this command continues from what it left."
        )
        self.kind = kind
        self.id = identifier


def work_directory(layout: Layout, kind: str, identifier: str) -> Path:
    """Return the directory for interrupted work of a derivation."""
    return layout.derived / WORK / kind / identifier


def unfinished(layout: Layout) -> list[tuple[str, str]]:
    """Return kind and id of every derivation with interrupted work, sorted."""
    found = (layout.derived / WORK).glob("*/*/*")
    work = {path.parent for path in found if not path.name.startswith(_LOCK)}
    return sorted((path.parent.name, path.name) for path in work)


@contextlib.contextmanager
def working(layout: Layout, kind: str, identifier: str) -> Iterator[Path]:
    """Hold the lock of a derivation while it is made; yield the directory for interrupted work.

    At the end the directory is removed if nothing but the lock is in it.

    Raises:
        WorkHeldError: another process makes it.
        WriteError: the lock file cannot be made.
    """
    directory = work_directory(layout, kind, identifier)
    try:
        with hold(directory / _LOCK, kind, Waiting(timeout_s=0.0)):
            try:
                yield directory
            finally:
                if all(path.name.startswith(_LOCK) for path in directory.iterdir()):
                    shutil.rmtree(directory, ignore_errors=True)
    except LockHeldError as error:
        raise WorkHeldError(kind, identifier, error) from error


def is_published(place: Path) -> bool:
    """Return whether a derivation is published; damage to it is reported when it is read."""
    return os.path.lexists(place / MANIFEST)


def obtain(
    layout: Layout, derivation: Derivation[M], place: Path, watch: Watch = QUIET
) -> M | None:
    """Publish a derivation at its place, unless it exists.

    Args:
        layout: where locks, interrupted work and staging directories are.
        derivation: what to make.
        place: the directory that it is published as.
        watch: its callbacks.

    Returns:
        The manifest, or None if the derivation is already published.

    Raises:
        WorkHeldError: another process makes it now.
        WriteError: the file system refuses; nothing is published.
        DamagedError: something else is at the place.
    """
    if is_published(place):
        return None
    with working(layout, derivation.kind, derivation.id) as work:
        # Another process may have published it while this one waited for the lock.
        if is_published(place):
            return None
        with staging_directory(layout) as staged:
            manifest = derivation.make(staged, watch, work)
            with writing(staged):
                seal(staged, encode_manifest(manifest))
                environment = derivation.environment(watch)
                if environment is not None:
                    write_environment(staged / ENVIRONMENTS, environment)
            if not publish_directory(staged, place) and not is_published(place):
                problem = (
                    f"Files without {MANIFEST} are where the {derivation.kind} belongs: bring the "
                    "directory back with `git checkout`, or move it elsewhere."
                )
                raise DamagedError(Finding(layout.relative(place), problem))
        for path in work.iterdir():
            if not path.name.startswith(_LOCK):
                with contextlib.suppress(OSError):
                    remove(path)
    return manifest


def encode_manifest(manifest: msgspec.Struct) -> bytes:
    """Return the bytes of ``manifest.json``: canonical JSON, without a final line feed."""
    return canonical.encode(msgspec.to_builtins(manifest))


def write_environment(directory: Path, environment: Environment) -> Path:
    """Write the record of one execution, named by its digest, and return its path."""
    data = canonical.encode(environment)
    path = directory / f"{hex_of(digest_bytes(data))}.json"
    directory.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


# --- making again and comparing ------------------------------------------------------------------


class Again(NamedTuple, Generic[M]):
    """A rebuilt derivation: the verdict, its temporary directory, and its manifest."""

    verdict: Verdict
    directory: Path
    manifest: M


@contextlib.contextmanager
def again(
    layout: Layout, derivation: Derivation[M], recorded: Path, watch: Watch = QUIET
) -> Iterator[Again[M]]:
    """Rebuild a derivation in a staging directory and compare it with what is recorded.

    Nothing that is published changes. The files stay until the block ends, so that derivations
    that depend on them can be rebuilt too.

    Raises:
        NotReproducibleError: an input is gone; `not_made` returns the verdict on that.
    """
    with staging_directory(layout) as staged:
        manifest = derivation.make(staged, watch, None)
        derivation.write_manifest(staged, manifest)
        yield Again(compare(derivation, recorded, staged), staged, manifest)
