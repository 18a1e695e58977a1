"""The paths of a store, its creation, and the search for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.errors import BadInputError, NoStoreError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, hex_of
from tunixrt.log.files import (
    absolute,
    publish_file,
    staging_directory,
    sync_directory,
    writing,
)
from tunixrt.log.findings import DamagedError, Finding, entries, place
from tunixrt.log.outputs import output_file
from tunixrt.log.stored import is_plain_directory, read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STORE_FORMAT = "tunixrt-store-1"
CANONICALISATION = "rfc8785"

# No id and no time: two `init`s on two branches write the same bytes, and merge.
STORE_JSON = encode(
    {"canonicalisation": CANONICALISATION, "digest": "sha256", "format": STORE_FORMAT}
)

_ATTRIBUTES = ("/store/** -text", "/runs/** -text", "/evalsets/** -text")
_IGNORED = (".tunixrt/", "/store/.tmp/")
_STORE_FILES = frozenset({"store.json"})
_STORE_DIRECTORIES = frozenset({".tmp", "log", "snapshots", "datasets"})


class StoreNotFoundError(NoStoreError):
    """No store was found upward from a directory.

    Attributes:
        start: The directory where the search began.
    """

    def __init__(self, start: Path, headless: Path | None = None) -> None:
        sentence = (
            f"No store exists at {start} or above it: run `tunixrt init` where it should be, or "
            "name one with --store."
        )
        if headless is not None:
            sentence = (
                f"{headless / 'store'} holds a log, and its store.json is missing, as after `git "
                f"revert` of the commit that began the store: `tunixrt init {headless}` writes it "
                "again, and it always has the same bytes."
            )
        super().__init__(sentence)
        self.start = start


class StoreFormatError(BadInputError):
    """The store's own description is not one that this version can write to.

    Attributes:
        path: The store.json.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} does not describe a store of format {STORE_FORMAT}: expected exactly "
            f"{STORE_JSON.decode()}. It is damaged, or was written by another version of tunixrt; "
            "`git checkout` brings a damaged one back."
        )
        self.path = path


@dataclass(frozen=True)
class Layout:
    """The paths of one store. ``root`` holds ``store/``, ``runs/`` and ``evalsets/``.

    The root is made absolute here, so no path of a store depends on the current directory.

    Raises:
        NoCurrentDirectoryError: If the root is relative to a directory that was removed.
    """

    root: Path

    def __post_init__(self) -> None:
        """Make the root absolute."""
        object.__setattr__(self, "root", absolute(self.root))

    @property
    def store(self) -> Path:
        """The log and what is built from it."""
        return self.root / "store"

    @property
    def store_json(self) -> Path:
        """Format, canonicalisation and digest of the store."""
        return self.store / "store.json"

    @property
    def log(self) -> Path:
        """Sealed segments: ``<2 hex>/<64 hex>/``."""
        return self.store / "log"

    @property
    def snapshots(self) -> Path:
        """Snapshots: ``<64 hex>.json``."""
        return self.store / "snapshots"

    @property
    def datasets(self) -> Path:
        """Datasets: ``<name>/<version>/<64 hex>/``."""
        return self.store / "datasets"

    @property
    def staging(self) -> Path:
        """Files that are being written and not yet published; ignored by Git."""
        return self.store / ".tmp"

    @property
    def runs(self) -> Path:
        """Training and evaluation runs: ``<run id>/``."""
        return self.root / "runs"

    @property
    def evalsets(self) -> Path:
        """Eval sets: ``<name>.jsonl``."""
        return self.root / "evalsets"

    @property
    def derived(self) -> Path:
        """Locks, checkpoints, caches: may be deleted at any time; ignored by Git."""
        return self.root / ".tunixrt"

    @property
    def lock(self) -> Path:
        """The lock of the few operations that change a file in place."""
        return self.derived / "store.lock"

    def segment(self, digest: Digest) -> Path:
        """The directory of a segment."""
        name = hex_of(digest)
        return self.log / name[:2] / name

    def snapshot(self, digest: Digest) -> Path:
        """The file of a snapshot."""
        return self.snapshots / f"{hex_of(digest)}.json"

    def relative(self, path: Path) -> str:
        """Return a path below the root as findings write it: relative, with forward slashes."""
        return place(path, self.root)


def init(root: Path) -> Layout:
    """Create a store, or complete one: nothing that exists changes.

    Writes ``store/store.json``, ``runs/``, ``evalsets/``, and the lines that ``.gitattributes`` and
    ``.gitignore`` miss.

    Raises:
        ImmutableFileError: If a ``store.json`` with other bytes exists.
        NoCurrentDirectoryError: If the path is relative to a directory that was removed.
        WriteError: If the file system refuses.
    """
    layout = Layout(root)
    root = layout.root
    made = [path for path in (root, *root.parents) if not path.exists()]
    with staging_directory(layout) as staging:
        publish_file(layout.store_json, STORE_JSON, staging)
        with writing(root):
            layout.runs.mkdir(exist_ok=True)
            layout.evalsets.mkdir(exist_ok=True)
            _add_lines(root / ".gitattributes", _ATTRIBUTES)
            _add_lines(root / ".gitignore", _IGNORED)
            # What is recorded here later must not vanish together with the name of the directory.
            for directory in (root, *(path.parent for path in made)):
                sync_directory(directory)
    return layout


def find(start: Path) -> Layout:
    """Return the store at a directory, or at the nearest directory above it that has one.

    Args:
        start: An absolute path, or one relative to the current directory.

    Raises:
        StoreNotFoundError: If no store exists at or above it.
        NoCurrentDirectoryError: If the path is relative to a directory that was removed.
    """
    start = absolute(start)
    headless: Path | None = None
    for directory in (start, *start.parents):
        layout = Layout(directory)
        if os.path.lexists(layout.store_json):
            return layout
        if headless is None and is_plain_directory(layout.log):
            headless = directory
    raise StoreNotFoundError(start, headless)


def check_format(layout: Layout) -> None:
    """Refuse to write to a store whose description is not this version's.

    Raises:
        StoreFormatError: If store.json is missing, damaged or of another version.
    """
    try:
        found = read_stored(layout.store_json)
    except OSError:
        raise StoreFormatError(layout.store_json) from None
    if found != STORE_JSON:
        raise StoreFormatError(layout.store_json)


def verify_layout(layout: Layout) -> Iterator[Finding]:
    """Check store.json, and that nothing unknown is beside it."""
    try:
        yield from _verify_description(layout)
        for entry in entries(layout.store, layout.root):
            where = layout.relative(layout.store / entry.name)
            if entry.name not in _STORE_FILES | _STORE_DIRECTORIES:
                yield Finding(where, "Nothing of this name belongs here: move it elsewhere.")
            elif entry.name in _STORE_DIRECTORIES and not entry.is_dir(follow_symlinks=False):
                problem = "This is not a directory"
                if entry.is_symlink():
                    problem += " but a symbolic link, and a store is never read through one"
                yield Finding(where, f"{problem}.")
    except DamagedError as error:
        yield error.finding


def _verify_description(layout: Layout) -> Iterator[Finding]:
    where = layout.relative(layout.store_json)
    try:
        found = read_stored(layout.store_json)
    except OSError as error:
        yield Finding(where, f"The description of the store cannot be read: {error.strerror}.")
        return
    if found != STORE_JSON:
        yield Finding(
            where,
            f"The description of the store is not that of format {STORE_FORMAT}.",
            expected=STORE_JSON.decode(),
            found=ascii(found[:200].decode(errors="replace")),
        )


def _add_lines(path: Path, lines: Sequence[str]) -> None:
    text = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
    present = {line.strip() for line in text.splitlines()}
    missing = [line for line in lines if line not in present]
    if missing:
        if text and not text.endswith("\n"):
            text += "\n"
        text += "".join(line + "\n" for line in missing)
        # The file is the user's: its permissions stay, and so does a link.
        with output_file(path) as file:
            file.write(text.encode(errors="surrogateescape"))
