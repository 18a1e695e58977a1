"""Two snapshots: what one holds and the other does not, and a proof that one contains the other.

A log only grows, so of two snapshots of one line of history the later contains the earlier. That is
set inclusion and not the prefix of an ordered tree (RFC 9162, section 2.1.4), because a merge adds
segments in the middle of the order. So the proof lists the segments of both: a verifier that trusts
the two names can compute both roots from it. It takes 70 bytes per segment.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest, digest_value, is_digest, raw_of
from tunixrt.log.merkle import root_of
from tunixrt.log.proofs import ProofError, SnapshotHead, head_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.snapshots import Snapshot

EXTENSION_FORMAT = "tunixrt-extension-proof-1"


class Relation(StrEnum):
    """The relation of a snapshot A to a snapshot B."""

    SAME = "same"
    CONTAINED = "contained"
    CONTAINS = "contains"
    APART = "apart"


class OneSided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What only one of two snapshots holds: segments, and the events in them by type."""

    segments: tuple[Digest, ...]
    events: dict[str, int]


class SnapshotDiff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two snapshots side by side.

    Attributes:
        a: The name of the first.
        b: The name of the second.
        relation: ``contained`` means that B holds everything that A holds, and more.
        n_common: How many segments both hold.
        only_a: What only the first holds.
        only_b: What only the second holds.
    """

    a: Digest
    b: Digest
    relation: Relation
    n_common: int
    only_a: OneSided
    only_b: OneSided


class NotContainedError(BadInputError):
    """A snapshot lacks segments of another, so nothing can be proved.

    Attributes:
        missing: The segments that it lacks.
    """

    def __init__(self, old: Digest, new: Digest, missing: Sequence[Digest]) -> None:
        super().__init__(
            f"The snapshot {new} does not contain the snapshot {old}: it lacks "
            f"{len(missing)} of its segments, the first {missing[0]}."
        )
        self.missing = tuple(missing)


class ExtensionProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proof that one snapshot contains another.

    Attributes:
        format: ``tunixrt-extension-proof-1``.
        old: The fields whose digest names the contained snapshot.
        new: The fields whose digest names the containing snapshot.
        segments: The segments of the old snapshot, sorted.
        added: The other segments of the new snapshot, sorted.
    """

    format: str
    old: SnapshotHead
    new: SnapshotHead
    segments: tuple[Digest, ...]
    added: tuple[Digest, ...]


def diff_snapshots(log: EventLog, a: Snapshot, b: Snapshot) -> SnapshotDiff:
    """Return the differences of two snapshots; events that only one holds are read from the log.

    Raises:
        DamagedError: If the log is damaged.
    """
    left, right = set(a.segments), set(b.segments)
    only_a, only_b = sorted(left - right), sorted(right - left)
    relations = {
        (False, False): Relation.SAME,
        (False, True): Relation.CONTAINED,
        (True, False): Relation.CONTAINS,
        (True, True): Relation.APART,
    }
    return SnapshotDiff(
        a=a.digest,
        b=b.digest,
        relation=relations[bool(only_a), bool(only_b)],
        n_common=len(left & right),
        only_a=_one_sided(log, only_a),
        only_b=_one_sided(log, only_b),
    )


def prove_extension(old: Snapshot, new: Snapshot) -> ExtensionProof:
    """Return a proof that a snapshot contains an older one.

    Raises:
        NotContainedError: If it does not contain it.
    """
    missing = sorted(set(old.segments).difference(new.segments))
    if missing:
        raise NotContainedError(old.digest, new.digest, missing)
    return ExtensionProof(
        format=EXTENSION_FORMAT,
        old=head_of(old),
        new=head_of(new),
        segments=old.segments,
        added=tuple(sorted(set(new.segments).difference(old.segments))),
    )


def check_extension(proof: ExtensionProof, old: Digest, new: Digest) -> None:
    """Check a proof against the names of two trusted snapshots, without a store.

    Raises:
        ProofError: If it does not prove that the new snapshot contains the old one.
    """
    if proof.format != EXTENSION_FORMAT:
        raise ProofError(f"This is not a proof of format {EXTENSION_FORMAT}.")
    everything = sorted((*proof.segments, *proof.added))
    if not all(is_digest(digest) for digest in everything):
        raise ProofError("Not every segment in the proof is named by a digest.")
    if any(left == right for left, right in pairwise(everything)):
        raise ProofError("A segment is in the proof twice.")
    for what, head, segments, name in (
        ("old", proof.old, sorted(proof.segments), old),
        ("new", proof.new, everything, new),
    ):
        root = root_of(raw_of(digest) for digest in segments)
        if root != head.root or len(segments) != head.n_segments:
            raise ProofError(f"The segments in the proof are not those of the {what} snapshot.")
        if digest_value(head) != name:
            raise ProofError(
                f"The {what} snapshot in the proof is {digest_value(head)}, not {name}."
            )


def _one_sided(log: EventLog, segments: Collection[Digest]) -> OneSided:
    counts = Counter(event.envelope.type for event in log.events(segments)) if segments else {}
    return OneSided(tuple(segments), dict(sorted(counts.items())))
