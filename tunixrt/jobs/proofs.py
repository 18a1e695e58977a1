"""Checking a proof that somebody handed over: of whichever kind it is, and without a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.member_proofs import MEMBER_PROOF_FORMAT, MemberProof, check_member
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.log.digests import Digest, digest_value, is_digest
from tunixrt.log.proofs import PROOF_FORMAT, Proof, ProofError, check_proof
from tunixrt.log.snapshot_diff import EXTENSION_FORMAT, ExtensionProof, check_extension

if TYPE_CHECKING:
    from pathlib import Path

_KINDS: dict[str, type[Proof | MemberProof | ExtensionProof]] = {
    PROOF_FORMAT: Proof,
    MEMBER_PROOF_FORMAT: MemberProof,
    EXTENSION_FORMAT: ExtensionProof,
}
MAX_PROOF_BYTES = 256 * 1024 * 1024
"""A proof is small, but for one that lists the segments of two snapshots."""


class ProofFileError(BadInputError):
    """A file that is no proof.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} is not a proof: {problem}")
        self.path = path


class Proven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a proof proves, provided that one trusts the digests.

    Attributes:
        format: The format of the proof.
        statement: A sentence.
        trace: The trace that is held; None for a proof that a snapshot contains another.
        snapshot: The snapshot that holds it, or that contains the other.
        contained: The snapshot that is contained.
        dataset: The digest of the dataset that lists the trace.
    """

    format: str
    statement: str
    trace: Digest | None = None
    snapshot: Digest | None = None
    contained: Digest | None = None
    dataset: Digest | None = None


def check_proof_file(path: Path, expected: frozenset[Digest] = frozenset()) -> Proven:
    """Check the proof in a file, and say what it proves.

    Args:
        path: The file.
        expected: Digests that the proof must be about: of a trace, snapshots, a dataset. Without
            them the proof is only held against itself.

    Raises:
        ProofFileError: If the file holds no proof.
        ProofError: If the proof proves nothing, or is about something else.
    """
    proof = _read(path)
    proven = _check(proof)
    about = {proven.trace, proven.snapshot, proven.contained, proven.dataset}
    for digest in sorted(expected.difference(d for d in about if d is not None)):
        raise ProofError(f"The proof is not about {digest}. It proves this: {proven.statement}")
    return proven


def _check(proof: Proof | MemberProof | ExtensionProof) -> Proven:
    match proof:
        case Proof():
            snapshot = digest_value(proof.snapshot)
            check_proof(proof, snapshot, proof.trace)
            return Proven(
                format=proof.format,
                statement=f"The snapshot {snapshot} holds the trace {proof.trace}.",
                trace=proof.trace,
                snapshot=snapshot,
            )
        case MemberProof():
            dataset, trace = digest_value(proof.dataset), proof.member.trace
            check_member(proof, dataset, trace)
            return Proven(
                format=proof.format,
                statement=f"The dataset {dataset} lists the trace {trace} "
                f"in the split {proof.member.split}.",
                trace=trace,
                dataset=dataset,
            )
        case ExtensionProof():
            old, new = digest_value(proof.old), digest_value(proof.new)
            check_extension(proof, old, new)
            return Proven(
                format=proof.format,
                statement=f"The snapshot {new} contains the snapshot {old} and "
                f"{len(proof.added)} more segments.",
                snapshot=new,
                contained=old,
            )


def _read(path: Path) -> Proof | MemberProof | ExtensionProof:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROOF_BYTES + 1)
    except OSError as error:
        raise ProofFileError(path, f"it cannot be read ({error.strerror}).") from None
    if len(data) > MAX_PROOF_BYTES:
        raise ProofFileError(path, f"it is larger than {MAX_PROOF_BYTES:,} bytes.")
    try:
        value = decode(data)
    except CanonicalError as error:
        raise ProofFileError(path, str(error)) from None
    kind = value.get("format") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProofFileError(path, f"its `format` is none of {', '.join(_KINDS)}.")
    try:
        proof = msgspec.convert(value, _KINDS[kind])
    except msgspec.ValidationError as error:
        raise ProofFileError(path, f"{error}.") from None
    named = proof.trace if isinstance(proof, Proof) else None
    if named is not None and not is_digest(named):
        raise ProofFileError(path, "its `trace` is not a digest.")
    return proof
