"""Snapshots: named sets of segments, so that a result can state which log it was made from.

A snapshot depends only on its set of segments: not on when or where it was taken, or in which order
branches were merged.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.census import Census
from tunixrt.log.digests import (
    Digest,
    digest_value,
    from_hex,
    is_digest,
    is_hex,
    raw_of,
)
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import publish_file, staging_directory
from tunixrt.log.findings import DamagedError, Finding, entries
from tunixrt.log.merkle import root_of
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tunixrt.log.eventlog import SegmentRef
    from tunixrt.log.layout import Layout

SNAPSHOT_FORMAT = "tunixrt-snapshot-1"

_SUFFIX = ".json"


class SnapshotNotFoundError(BadInputError):
    """The snapshot of that name does not exist.

    Attributes:
        digest: The name.
    """

    def __init__(self, digest: Digest) -> None:
        super().__init__(
            f"The snapshot {digest} does not exist in this store: `tunixrt snapshot list` shows "
            "those that exist."
        )
        self.digest = digest


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of segments that holds the parents of each of its segments.

    Attributes:
        format: The format and its version: ``tunixrt-snapshot-1``.
        n_events: How many events the segments hold together.
        n_segments: How many segments there are.
        n_traces: How many distinct traces they have recorded, retracted or redacted ones too.
        root: The Merkle root over the 32-byte digests of the segments, sorted.
        segments: The segments, sorted.
    """

    format: str
    n_events: int
    n_segments: int
    n_traces: int
    root: Digest
    segments: tuple[Digest, ...]

    @property
    def digest(self) -> Digest:
        """The name: the digest of the canonical JSON without ``segments``, which root covers."""
        fields = msgspec.structs.asdict(self)
        del fields["segments"]
        return digest_value(fields)


_decode = msgspec.json.Decoder(Snapshot).decode


def take_snapshot(log: EventLog) -> Snapshot:
    """Return the snapshot of all segments that are in the log now; nothing is written.

    Raises:
        DamagedError: If the log is damaged.
    """
    refs = log.segments()
    segments = [ref.digest for ref in refs]
    return name_snapshot(refs, Census(log.events(segments)).n_traces(segments))


def name_snapshot(refs: Iterable[SegmentRef], n_traces: int) -> Snapshot:
    """Return the snapshot of a set of segments that holds the parents of each.

    Args:
        refs: The segments.
        n_traces: How many distinct traces they have recorded; the caller has counted them.
    """
    refs = list(refs)
    segments = sorted(ref.digest for ref in refs)
    return Snapshot(
        format=SNAPSHOT_FORMAT,
        n_events=sum(ref.n_events for ref in refs),
        n_segments=len(segments),
        n_traces=n_traces,
        root=_root(segments),
        segments=tuple(segments),
    )


def save_snapshot(layout: Layout, snapshot: Snapshot) -> Digest:
    """Write a snapshot, and return its name; an existing one is not changed.

    Raises:
        ImmutableFileError: If the file of that name has other bytes.
        WriteError: If the file system refuses.
    """
    with staging_directory(layout) as staging:
        publish_file(layout.snapshot(snapshot.digest), encode(snapshot), staging)
    return snapshot.digest


def load_snapshot(layout: Layout, digest: Digest) -> Snapshot:
    """Return a snapshot, read from its file.

    Raises:
        SnapshotNotFoundError: If none of that name exists.
        DamagedError: If it does not match its name.
    """
    path = layout.snapshot(digest)
    if not os.path.lexists(path):
        raise SnapshotNotFoundError(digest)
    snapshot, findings = _read(layout, path)
    if snapshot is None or findings:
        raise DamagedError(findings[0])
    return snapshot


def list_snapshots(layout: Layout) -> list[Digest]:
    """Return the names of the snapshots, sorted.

    Raises:
        DamagedError: If the directory cannot be listed.
    """
    names = [entry.name for entry in entries(layout.snapshots, layout.root)]
    return [from_hex(name[: -len(_SUFFIX)]) for name in names if _is_name(name)]


def verify_snapshots(layout: Layout) -> Iterator[Finding]:
    """Check every snapshot: its name, its root, its segments and their parents, its counts.

    Yields:
        What is wrong. A damaged log stops the counting; ``EventLog.verify`` reports the damage.
    """
    snapshots: list[tuple[str, Snapshot]] = []
    try:
        listed = entries(layout.snapshots, layout.root)
    except DamagedError as error:
        yield error.finding
        return
    for entry in listed:
        path = layout.snapshots / entry.name
        if not _is_name(entry.name):
            yield Finding(layout.relative(path), "This is not a snapshot: move it elsewhere.")
            continue
        snapshot, findings = _read(layout, path)
        yield from findings
        if snapshot is not None and not findings:
            snapshots.append((layout.relative(path), snapshot))
    if snapshots:
        yield from _verify_contents(EventLog(layout), snapshots)


def _is_name(text: str) -> bool:
    return text.endswith(_SUFFIX) and is_hex(text[: -len(_SUFFIX)])


def _verify_contents(log: EventLog, snapshots: list[tuple[str, Snapshot]]) -> Iterator[Finding]:
    try:
        refs = {ref.digest: ref for ref in log.segments()}
        census = Census(log.events())
    except DamagedError as error:
        for place, _ in snapshots:
            problem = f"The contents cannot be checked, because the log is damaged: {error.finding}"
            yield Finding(place, problem)
        return
    for place, snapshot in snapshots:
        missing = [digest for digest in snapshot.segments if digest not in refs]
        for digest in missing:
            yield Finding(
                place,
                "A segment of the snapshot is missing from the log.",
                expected=log.layout.relative(log.layout.segment(digest)),
                found="nothing there",
            )
        if not missing:
            for problem in _content_problems(snapshot, refs, census):
                yield Finding(place, problem)


def _content_problems(
    snapshot: Snapshot, refs: Mapping[Digest, SegmentRef], census: Census
) -> Iterator[str]:
    segments = set(snapshot.segments)
    for digest in snapshot.segments:
        for parent in refs[digest].parents:
            if parent not in segments:
                yield f"The snapshot holds the segment {digest} without its parent {parent}."
    n_events = sum(refs[digest].n_events for digest in snapshot.segments)
    if n_events != snapshot.n_events:
        yield f"The segments hold {n_events} events, not {snapshot.n_events}."
    n_traces = census.n_traces(segments)
    if n_traces != snapshot.n_traces:
        yield f"The segments record {n_traces} traces, not {snapshot.n_traces}."


def _read(layout: Layout, path: Path) -> tuple[Snapshot | None, list[Finding]]:
    place = layout.relative(path)
    try:
        data = read_stored(path)
        snapshot = _decode(data)
    except OSError as error:
        return None, [Finding(place, f"The snapshot cannot be read: {error.strerror}.")]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return None, [Finding(place, f"This is not a snapshot: {error}.")]
    findings = [Finding(place, problem) for problem in _problems(snapshot)]
    if encode(snapshot) != data:
        findings.append(Finding(place, "The snapshot is not in canonical form (RFC 8785)."))
    expected = from_hex(path.stem)
    if snapshot.digest != expected:
        findings.append(
            Finding(
                place,
                "The name of the snapshot is not the digest of its fields.",
                expected=expected,
                found=snapshot.digest,
            )
        )
    return snapshot, findings


def _problems(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.format != SNAPSHOT_FORMAT:
        yield f"The format is {snapshot.format!r}; this version reads {SNAPSHOT_FORMAT!r}."
    if len(snapshot.segments) != snapshot.n_segments:
        yield f"There are {len(snapshot.segments)} segments, not {snapshot.n_segments}."
    if any(left >= right for left, right in pairwise(snapshot.segments)):
        yield "The segments are not sorted, or one is named twice."
    if not all(is_digest(digest) for digest in snapshot.segments):
        yield "Not every segment is named by a digest."
    elif _root(snapshot.segments) != snapshot.root:
        yield "The Merkle root is not that of the segments."


def _root(segments: list[Digest] | tuple[Digest, ...]) -> Digest:
    return root_of(raw_of(digest) for digest in segments)
