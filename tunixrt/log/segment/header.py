"""The header of a segment, ``segment.json``: what it holds, and what it was appended to.

A segment is named by the SHA-256 of these bytes, so the name covers every envelope (through the
Merkle roots) and every payload (through the digests in the envelopes).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes, hex_of, is_digest, of_hex
from tunixrt.log.findings import DamagedError, Finding, place
from tunixrt.log.layout import CANONICALISATION
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "HEADER_NAME",
    "SEGMENT_FORMAT",
    "DamagedError",
    "PartHeader",
    "SegmentHeader",
    "inspect_header",
    "part_name",
    "place_of",
    "read_header",
    "root_of_store",
]

SEGMENT_FORMAT = "tunixrt-segment-1"
HEADER_NAME = "segment.json"


class PartHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a segment.

    Attributes:
        name: The file name, ``0000.jsonl`` and onwards.
        n_events: How many events it holds; it has twice as many lines.
        root: The Merkle root over its envelope lines.
    """

    name: str
    n_events: int
    root: Digest


class SegmentHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of a segment.

    Attributes:
        canonicalisation: How JSON is made canonical: ``rfc8785``.
        format: The format and its version: ``tunixrt-segment-1``.
        lamport: 1 + the largest of the parents'; 0 without parents.
        n_events: How many events the parts hold together.
        parents: The segments that no other named as a parent when this one was appended, sorted.
        parts: The parts in their order.
        root: The Merkle root over all envelope lines.
    """

    canonicalisation: str
    format: str
    lamport: int
    n_events: int
    parents: tuple[Digest, ...]
    parts: tuple[PartHeader, ...]
    root: Digest


_decode_header = msgspec.json.Decoder(SegmentHeader).decode


def part_name(index: int) -> str:
    """Return the file name of a part, counted from 0."""
    return f"{index:04d}.jsonl"


def place_of(path: Path, directory: Path) -> str:
    """Return where a file of a segment is, relative to the root of the store if it is in one.

    Args:
        path: The file, or the directory itself.
        directory: The directory of the segment, ``.../store/log/<2 hex>/<64 hex>``.
    """
    return place(path, root_of_store(directory))


def root_of_store(directory: Path) -> Path:
    """Return the root of the store that a segment's directory is in, or would be in."""
    return directory.parents[min(3, len(directory.parents) - 1)]


def read_header(path: Path) -> SegmentHeader:
    """Return the ``segment.json`` of a sealed segment, checked against its directory's name.

    Raises:
        DamagedError: If it does not exist, is not a header of this format, or has another digest.
    """
    data, findings = _read(path)
    for finding in findings:
        raise DamagedError(finding)
    return _decode_header(data)


def inspect_header(path: Path) -> tuple[SegmentHeader | None, list[Finding]]:
    """Return what can be read of a ``segment.json``, and all that is wrong with it."""
    data, findings = _read(path)
    try:
        return _decode_header(data), findings
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None, findings


def _read(path: Path) -> tuple[bytes, list[Finding]]:
    try:
        data = read_stored(path)
    except OSError as error:
        problem = f"The header cannot be read: {error.strerror}."
        return b"", [Finding(place_of(path, path.parent), problem)]
    problems: list[tuple[str, str | None, str | None]] = []
    digest, name = digest_bytes(data), path.parent.name
    if hex_of(digest) != name:
        problem = "The name of the segment is not the digest of its header."
        problems.append((problem, of_hex(name), digest))
    try:
        header = _decode_header(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        problems.append((f"This is not the header of a segment: {error}.", None, None))
    else:
        if encode(header) != data:
            problem = "The header is not in canonical form (RFC 8785)."
            problems.append((problem, None, None))
        problems.extend((problem, None, None) for problem in _problems(header))
    if not problems:
        return data, []
    where = place_of(path, path.parent)
    return data, [
        Finding(where, problem, expected=expected, found=found)
        for problem, expected, found in problems
    ]


def _problems(header: SegmentHeader) -> Iterator[str]:
    if header.format != SEGMENT_FORMAT or header.canonicalisation != CANONICALISATION:
        yield (
            f"The segment is of format {header.format!r} with canonicalisation "
            f"{header.canonicalisation!r}; this version reads {SEGMENT_FORMAT!r} with "
            f"{CANONICALISATION!r}."
        )
    digests = (*header.parents, header.root, *(part.root for part in header.parts))
    for digest in digests:
        if not is_digest(digest):
            yield f"{digest!r} is not a digest."
    if any(left >= right for left, right in pairwise(header.parents)):
        yield "The parents are not sorted, or one is named twice."
    if header.lamport < 0 or (header.lamport == 0) != (not header.parents):
        yield f"The lamport is {header.lamport} with {len(header.parents)} parents."
    if any(part.name != part_name(index) for index, part in enumerate(header.parts)):
        yield "The parts are not named 0000.jsonl and onwards."
    if any(part.n_events < 1 for part in header.parts) or not header.parts:
        yield "A segment has at least one part, and a part at least one event."
    if sum(part.n_events for part in header.parts) != header.n_events:
        yield "The events of the parts do not add up to n_events."
