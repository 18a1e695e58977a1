"""The check for pull requests: nothing in the store of a Git revision was changed.

The digests of a store prove its integrity, not that it is the old store with additions: a store
without a segment and everything appended after it is also intact. So the working tree is compared
with a revision, file by file and, where a part has changed, line by line. At most one file of each
is in memory, and large files are read in chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from tunixrt.log.checkout import Checkout
from tunixrt.log.digests import Digest, from_hex, is_hex
from tunixrt.log.findings import DamagedError, Finding
from tunixrt.log.git import BlobReader, list_tree, resolve_revision
from tunixrt.log.redaction import redacted_traces
from tunixrt.log.segment.events import NULL, decode_envelope
from tunixrt.log.segment.header import HEADER_NAME, SegmentHeader
from tunixrt.log.segment.reader import MAX_PART_FILE_BYTES
from tunixrt.log.stored import open_stored, refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.git import GitFile
    from tunixrt.log.layout import Layout

_CHUNK_BYTES = 1024 * 1024
_PLAIN = ("100644", "100755")


class SinceCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of comparing the store with a revision.

    Attributes:
        revision: The revision as given.
        commit: The commit that it names.
        n_files: How many files of its store were compared.
        n_redacted: How many payload lines were redacted since.
        findings: What was changed, removed or reordered.
    """

    revision: str
    commit: str
    n_files: int
    n_redacted: int
    findings: list[Finding]


def verify_since(
    layout: Layout, log: EventLog, revision: str, checkout: Checkout | None = None
) -> SinceCheck:
    """Check that log, snapshots and datasets of a revision all exist unchanged.

    A file that a sparse checkout excludes is compared by the blob that Git tracks for it.

    Raises:
        GitError: The store is not in a Git repository, or the revision does not exist.
    """
    commit = resolve_revision(layout.root, revision)
    comparison = _Comparison(layout, log, revision, checkout or Checkout.of(layout))
    findings = list(comparison.run(commit))
    return SinceCheck(revision, commit, comparison.n_files, comparison.n_redacted, findings)


class _Comparison:
    """One walk over the files of a revision."""

    def __init__(
        self, layout: Layout, log: EventLog, revision: str, checkout: Checkout | None = None
    ) -> None:
        self._layout = layout
        self._log = log
        self._revision = revision
        self._checkout = checkout or Checkout()
        self._redacted: set[Digest] | None = None
        self._order: list[tuple[int, Digest]] = []
        self._missing: set[str] = set()
        self.n_files = 0
        self.n_redacted = 0

    def run(self, commit: str) -> Iterator[Finding]:
        layout = self._layout
        places = (layout.store_json, layout.log, layout.snapshots, layout.datasets)
        paths = tuple(layout.relative(place) for place in places)
        with BlobReader(layout.root) as blobs:
            for file in list_tree(layout.root, commit, paths):
                self.n_files += 1
                yield from self._compare(file, blobs)
        yield from self._compare_order()

    def _compare(self, file: GitFile, blobs: BlobReader) -> Iterator[Finding]:
        path = self._layout.root / file.path
        place = self._layout.relative(path)
        size = blobs.open(file.oid)
        old = blobs.read(size) if size <= MAX_PART_FILE_BYTES else None
        if old is not None and path.name == HEADER_NAME and self._layout.log in path.parents:
            self._note_order(path, old)
        try:
            if file.mode not in _PLAIN:
                raise FileNotFoundError
            refuse_links(path, self._layout.root)
            with open_stored(path) as here:
                new = here.read(MAX_PART_FILE_BYTES + 1) if old is not None else b""
                same = new == old if old is not None else _is_same(here, blobs)
        except OSError as error:
            while blobs.read(_CHUNK_BYTES):
                pass
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                if self._checkout.oid(file.path) != file.oid:
                    yield from self._gone(path, place)
            else:
                yield self._changed(place, None, str(error.strerror))
            return
        if same:
            return
        if old is None or len(new) > MAX_PART_FILE_BYTES:
            yield self._changed(place, None)
        else:
            yield from self._compare_lines(path, place, old, new)

    def _gone(self, path: Path, place: str) -> Iterator[Finding]:
        # A segment or a dataset is a directory: one finding for each, not one per file.
        directory = path.parent
        is_of_one = directory not in (self._layout.store, self._layout.snapshots)
        if is_of_one and not directory.is_dir():
            place = self._layout.relative(directory)
        if place not in self._missing:
            self._missing.add(place)
            yield Finding(
                place,
                f"It is in the store of {self._revision} and missing here: a store only "
                f"grows. `git checkout {self._revision} -- {place}` brings it back.",
            )

    def _changed(self, place: str, line: int | None, problem: str | None = None) -> Finding:
        sentence = f"It is not what it is in the store of {self._revision}"
        sentence += f": {problem}." if problem else ", and it never changes."
        return Finding(place, sentence, line=line)

    def _compare_lines(self, path: Path, place: str, old: bytes, new: bytes) -> Iterator[Finding]:
        if self._layout.log not in path.parents or path.name == HEADER_NAME:
            yield self._changed(place, None)
            return
        before, after = old.split(b"\n"), new.split(b"\n")
        if len(before) != len(after):
            sizes = f"it has {len(after) - 1} lines and not {len(before) - 1}"
            yield self._changed(place, None, sizes)
            return
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            if left == right:
                continue
            if index % 2 == 0 or NULL not in (left, right):
                yield self._changed(place, index + 1)
                return
            if right != NULL:
                yield self._changed(place, index + 1, "a payload that was redacted has come back")
                return
            finding = self._redaction(place, index + 1, after[index - 1])
            if finding is not None:
                yield finding
                return
            self.n_redacted += 1

    def _redaction(self, place: str, line: int, envelope: bytes) -> Finding | None:
        """Return a finding unless an event redacts this payload."""
        try:
            if self._redacted is None:
                self._redacted = redacted_traces(self._log)
            if decode_envelope(envelope).payload in self._redacted:
                return None
            problem = "a payload is gone, and no event redacts it"
        except DamagedError as error:
            problem = f"whether it was redacted is unknown, since the log is damaged ({error})"
        except (msgspec.MsgspecError, ValueError) as error:
            problem = f"its envelope cannot be read ({error})"
        return self._changed(place, line, problem)

    def _note_order(self, path: Path, header: bytes) -> None:
        try:
            decoded = msgspec.json.decode(header, type=SegmentHeader)
        except (msgspec.MsgspecError, ValueError):
            return  # it was damaged in the revision already
        if is_hex(path.parent.name):
            self._order.append((decoded.lamport, from_hex(path.parent.name)))

    def _compare_order(self) -> Iterator[Finding]:
        """Check that the old segments keep their relative order."""
        try:
            now = [ref.digest for ref in self._log.segments()]
        except DamagedError:
            return  # a missing or changed header has been reported
        known = set(now)
        before = [digest for _, digest in sorted(self._order) if digest in known]
        old = set(before)
        after = [digest for digest in now if digest in old]
        for expected, found in zip(before, after, strict=True):
            if expected != found:
                yield Finding(
                    self._layout.relative(self._layout.segment(found)),
                    f"The segment is not where it is in the order of {self._revision}.",
                    expected=expected,
                    found=found,
                )
                return


def _is_same(here: BinaryIO, blobs: BlobReader) -> bool:
    same = True
    while old := blobs.read(_CHUNK_BYTES):
        same = same and here.read(len(old)) == old
    return same and not here.read(1)
