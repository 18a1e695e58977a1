"""Proofs that a snapshot holds a trace, which anyone can check without the store.

A proof leads from the envelope that names the trace, through the Merkle tree of its segment, to the
header whose digest names the segment, and from there, through the Merkle tree of the snapshot, to
the snapshot's name. It holds no payload, and a redaction does not change it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.log.digests import Digest, digest_value, from_raw, is_hex, raw_of
from tunixrt.log.merkle import inclusion_proof, leaf_hash, root_from_proof
from tunixrt.log.segment.events import RECORDED, Envelope, StoredEvent, encode_envelope
from tunixrt.log.segment.header import HEADER_NAME, SegmentHeader, read_header
from tunixrt.log.segment.reader import read_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.snapshots import Snapshot

PROOF_FORMAT = "tunixrt-proof-1"


class NotInSnapshotError(BadInputError):
    """The snapshot does not hold the trace, so nothing can be proved.

    Attributes:
        trace: The trace that was asked for.
    """

    def __init__(self, trace: Digest, snapshot: Digest) -> None:
        super().__init__(f"The snapshot {snapshot} does not hold the trace {trace}.")
        self.trace = trace


class ProofError(AnswerIsNoError):
    """A proof that does not prove its claim."""


class SnapshotHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields whose digest names a snapshot: all but the list of segments."""

    format: str
    n_events: int
    n_segments: int
    n_traces: int
    root: Digest


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proof that a snapshot holds a trace.

    Attributes:
        format: ``tunixrt-proof-1``.
        trace: The trace.
        envelope: The envelope of its recording.
        position: The place of the event in its segment, counted from 0.
        envelope_path: The audit path (RFC 9162, section 2.1.3) from the envelope to the root of the
            segment: hashes of 32 bytes, as hexadecimal digits.
        segment: The header of the segment.
        segment_index: The place of the segment among the sorted segments of the snapshot.
        segment_path: The audit path from the segment to the root of the snapshot.
        snapshot: The fields whose digest names the snapshot.
    """

    format: str
    trace: Digest
    envelope: Envelope
    position: int
    envelope_path: tuple[str, ...]
    segment: SegmentHeader
    segment_index: int
    segment_path: tuple[str, ...]
    snapshot: SnapshotHead


def prove(log: EventLog, snapshot: Snapshot, trace: Digest) -> Proof:
    """Return a proof that a snapshot holds a trace, by its first recording.

    Raises:
        NotInSnapshotError: If the snapshot does not hold the trace.
        DamagedError: If the log is damaged.
    """
    event = _first_recording(log.events(snapshot.segments), trace)
    if event is None:
        raise NotInSnapshotError(trace, snapshot.digest)
    directory = log.layout.segment(event.segment)
    envelopes = (leaf_hash(encode_envelope(e.envelope)) for e in read_segment(directory))
    segments = [leaf_hash(raw_of(digest)) for digest in snapshot.segments]
    index = snapshot.segments.index(event.segment)
    return Proof(
        format=PROOF_FORMAT,
        trace=trace,
        envelope=event.envelope,
        position=event.position,
        envelope_path=_hex(inclusion_proof(envelopes, event.position)),
        segment=read_header(directory / HEADER_NAME),
        segment_index=index,
        segment_path=_hex(inclusion_proof(segments, index)),
        snapshot=head_of(snapshot),
    )


def head_of(snapshot: Snapshot) -> SnapshotHead:
    """Return the fields whose digest names a snapshot."""
    fields = msgspec.structs.asdict(snapshot)
    del fields["segments"]
    return SnapshotHead(**fields)


def check_proof(proof: Proof, snapshot: Digest, trace: Digest) -> None:
    """Check a proof against the name of a trusted snapshot, without a store.

    Raises:
        ProofError: If it does not prove that this snapshot holds this trace.
    """
    envelope = proof.envelope
    if proof.format != PROOF_FORMAT or proof.trace != trace:
        raise ProofError(f"This is not a proof of format {PROOF_FORMAT} for the trace {trace}.")
    if envelope.type != RECORDED or envelope.payload != trace:
        raise ProofError(f"The envelope in the proof does not record the trace {trace}.")
    header, head = proof.segment, proof.snapshot
    root = _root(encode_envelope(envelope), proof.position, header.n_events, proof.envelope_path)
    if root != header.root:
        raise ProofError("The envelope in the proof is not part of the segment.")
    segment = digest_value(header)
    root = _root(raw_of(segment), proof.segment_index, head.n_segments, proof.segment_path)
    if root != head.root:
        raise ProofError(f"The segment {segment} in the proof is not part of the snapshot.")
    if digest_value(head) != snapshot:
        raise ProofError(f"The proof is for the snapshot {digest_value(head)}, not for {snapshot}.")


def _first_recording(events: Iterator[StoredEvent], trace: Digest) -> StoredEvent | None:
    for event in events:
        if event.envelope.type == RECORDED and event.envelope.payload == trace:
            return event
    return None


def _hex(path: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(value.hex() for value in path)


def _root(leaf: bytes, index: int, n_leaves: int, path: Sequence[str]) -> Digest | None:
    if not all(is_hex(value) for value in path):
        return None
    hashes = [bytes.fromhex(value) for value in path]
    root = root_from_proof(leaf_hash(leaf), index, n_leaves, hashes)
    return None if root is None else from_raw(root)
