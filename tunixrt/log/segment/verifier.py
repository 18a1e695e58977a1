"""Verifies a sealed segment: every digest is computed again, from the payloads up to the name."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log.canonical import is_canonical
from tunixrt.log.digests import Digest, from_hex, from_raw, is_hex
from tunixrt.log.findings import DamagedError, Finding, entries
from tunixrt.log.merkle import MerkleTree
from tunixrt.log.segment.events import (
    NULL,
    REDACTED,
    Envelope,
    decode_envelope,
    encode_envelope,
    envelope_problem,
)
from tunixrt.log.segment.header import (
    HEADER_NAME,
    PartHeader,
    SegmentHeader,
    inspect_header,
    part_name,
    place_of,
    root_of_store,
)
from tunixrt.log.segment.part_prover import (
    AT_ONCE,
    ProvedPart,
    SecondProver,
    are_recordings,
    prove_part,
)
from tunixrt.log.segment.reader import bad_envelope, read_lines
from tunixrt.log.segment.writer import MAX_PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


_PARTS_FOR_TWO = 8
"""With this many parts, a second process is worth the tenth of a second that its start takes."""


class Survey:
    """What the segments of a log state about each other, collected while each is verified.

    Whether a parent is missing or a ``null`` is valid is known only when all have been read.

    Attributes:
        headers: The headers, by the name of the directory.
        redacted: The traces that a ``trace.redacted`` event names.
        removed: The payloads that are ``null``, each with the places (path, line) where they are.
    """

    def __init__(self) -> None:
        self.headers: dict[Digest, SegmentHeader] = {}
        self.redacted: set[Digest] = set()
        self.removed: dict[Digest, list[tuple[str, int]]] = {}

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for every payload that is missing without a redaction."""
        for payload, places in self.removed.items():
            if payload not in self.redacted:
                for place, line in places:
                    yield Finding(
                        place,
                        "The payload is null, and no trace.redacted event explains it.",
                        line=line,
                        expected=f"the payload {payload}",
                        found="null",
                    )


def verify_segment(directory: Path, survey: Survey | None = None) -> Iterator[Finding]:
    """Check every byte of a sealed segment.

    Args:
        directory: ``store/log/<2 hex>/<64 hex>``.
        survey: Where headers, null payloads and redaction events are gathered. Without it, a null
            payload is accepted.

    Yields:
        What is wrong, with paths relative to the root of the store.
    """
    header, findings = inspect_header(directory / HEADER_NAME)
    yield from findings
    if header is None:
        return
    known = {HEADER_NAME, *(part.name for part in header.parts)}
    try:
        yield from _stray_files(directory, known)
    except DamagedError as error:
        yield error.finding
    survey = Survey() if survey is None else survey
    if is_hex(directory.name):
        survey.headers[from_hex(directory.name)] = header
    tree = MerkleTree()
    is_whole = True
    for part, proved in _proofs(directory, header):
        is_read = yield from _verify_part(directory, part, proved, tree, survey)
        is_whole = is_whole and is_read
    root = from_raw(tree.root())
    if is_whole and root != header.root:
        yield Finding(
            place_of(directory / HEADER_NAME, directory),
            "The Merkle root of the segment is not that of its envelopes.",
            expected=header.root,
            found=root,
        )


def _stray_files(directory: Path, known: set[str]) -> Iterator[Finding]:
    for entry in entries(directory, root_of_store(directory)):
        where = place_of(directory / entry.name, directory)
        if entry.name not in known:  # the others are read, and refused if they are not plain
            yield Finding(where, "The header of the segment names no such file.")


def _proofs(
    directory: Path, header: SegmentHeader
) -> Iterator[tuple[PartHeader, ProvedPart | None]]:
    """Yield the parts, each with its proof if there is one, in their order."""
    # Any other name is a finding already, and not a safe path.
    parts = [part for i, part in enumerate(header.parts) if part.name == part_name(i)]
    with contextlib.ExitStack() as stack:
        second: SecondProver | None = None
        if len(parts) >= _PARTS_FOR_TWO:
            with contextlib.suppress(OSError):
                second = stack.enter_context(SecondProver())
        for part, other in zip_longest(parts[::2], parts[1::2]):
            asked = other is not None and second is not None and _ask(second, directory, other)
            yield part, prove_part(directory / part.name, part.n_events)
            if other is not None:
                path = directory / other.name
                answer = second.answer() if second is not None and asked else None
                yield other, answer or prove_part(path, other.n_events)


def _ask(second: SecondProver, directory: Path, part: PartHeader) -> bool:
    try:
        second.ask(directory / part.name, part.n_events)
    except OSError:
        return False  # it has exited; this process proves the part
    return True


def _verify_part(
    directory: Path,
    part: PartHeader,
    proved: ProvedPart | None,
    whole: MerkleTree,
    survey: Survey,
) -> Generator[Finding, None, bool]:
    """Check a part; return whether it could be read."""
    path = directory / part.name
    place = place_of(path, directory)
    if proved is None:
        leaves = yield from _verify_lines(path, place, part, survey)
        if leaves is None:
            return False  # its lines cannot be checked, and a finding explains it
        tree = MerkleTree()
        tree.extend_hashes(leaves)
        proved = ProvedPart(tree.root(), leaves)
    whole.extend_hashes(proved.leaves)
    root = from_raw(proved.root)
    if root != part.root:
        yield Finding(
            place,
            "The Merkle root over the envelopes is not the one in the header: "
            "an envelope was changed, added, removed or moved.",
            expected=part.root,
            found=root,
        )
    if len(proved.leaves) > 1 and path.stat().st_size > MAX_PART_BYTES:
        yield Finding(place, f"The part exceeds {MAX_PART_BYTES} bytes with more than one event.")
    return True


def _verify_lines(
    path: Path, place: str, part: PartHeader, survey: Survey
) -> Generator[Finding, None, list[bytes] | None]:
    """Check each event separately; return the leaf hashes, None if the part is not read."""
    lines, finding = read_lines(path, part.n_events)
    if finding is not None:
        yield finding
        if not lines:
            return None
    n_whole = len(lines) // 2 * 2
    for start in range(0, n_whole, 2 * AT_ONCE):
        group = lines[start : min(start + 2 * AT_ONCE, n_whole)]
        if not are_recordings(group):
            for index in range(0, len(group), 2):
                yield from _verify_event(
                    place, start + index + 1, group[index], group[index + 1], survey
                )
    return [sha256(b"\x00" + line).digest() for line in lines[:n_whole:2]]


def _verify_event(
    place: str, number: int, line: bytes, body: bytes, survey: Survey
) -> Iterator[Finding]:
    try:
        envelope = decode_envelope(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        yield bad_envelope(place, number, error)
        return
    if encode_envelope(envelope) != line:
        yield Finding(place, "The envelope is not in canonical form (RFC 8785).", line=number)
    problem = envelope_problem(envelope)
    if problem is not None:
        yield Finding(place, problem, line=number)
    if envelope.type == REDACTED and envelope.trace is not None:
        survey.redacted.add(envelope.trace)
    yield from _verify_payload(place, number + 1, envelope, body, survey)


def _verify_payload(
    place: str, number: int, envelope: Envelope, body: bytes, survey: Survey
) -> Iterator[Finding]:
    if envelope.payload is None:
        if body != NULL:
            yield Finding(place, "The envelope names no payload, and there is one.", number, "null")
        return
    if body == NULL:
        survey.removed.setdefault(envelope.payload, []).append((place, number))
        return
    digest = from_raw(sha256(body).digest())
    if digest != envelope.payload:
        yield Finding(
            place,
            "The payload is not the one that the envelope names.",
            line=number,
            expected=envelope.payload,
            found=digest,
        )
    elif not is_canonical(body):
        yield Finding(place, "The payload is not canonical JSON (RFC 8785).", line=number)
