"""Checks a proof of any kind, without a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.member_proofs import MEMBER_PROOF_FORMAT, MemberProof, check_member
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.log.digests import Digest, digest_value, is_digest
from tunixrt.log.proofs import PROOF_FORMAT, Proof, ProofError, check_proof
from tunixrt.log.snapshot_diff import EXTENSION_FORMAT, ExtensionProof, check_extension
from tunixrt.traces.importers.file_kinds import UnreadableFileError, without_mark
from tunixrt.traces.importers.lines import open_text
from tunixrt.words import choice

if TYPE_CHECKING:
    from tunixrt.traces.importers.lines import TextSource

_KINDS: dict[str, type[Proof | MemberProof | ExtensionProof]] = {
    PROOF_FORMAT: Proof,
    MEMBER_PROOF_FORMAT: MemberProof,
    EXTENSION_FORMAT: ExtensionProof,
}
MAX_PROOF_BYTES = 256 * 1024 * 1024
"""A proof is small, except one that lists the segments of two snapshots."""


class ProofFileError(BadInputError):
    """A file that is not a proof.

    Attributes:
        path: The file.
    """

    def __init__(self, path: TextSource, problem: str) -> None:
        super().__init__(f"{path} is not a proof: {problem}")
        self.path = path


class Proven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a proof proves, provided that its digests are trusted.

    Attributes:
        format: The format of the proof.
        statement: A sentence.
        trace: The trace that is contained; None for a proof that a snapshot contains another.
        snapshot: The snapshot that contains the trace, or the other snapshot.
        contained: The contained snapshot.
        dataset: The digest of the dataset that lists the trace.
    """

    format: str
    statement: str
    trace: Digest | None = None
    snapshot: Digest | None = None
    contained: Digest | None = None
    dataset: Digest | None = None


def check_proof_file(path: TextSource, expected: frozenset[Digest] = frozenset()) -> Proven:
    """Check the proof in a file, and return what it proves.

    Args:
        path: The file, or an open stream.
        expected: Digests that the proof must be about: of a trace, snapshots, a dataset. Without
            them only the consistency of the proof is checked.

    Raises:
        ProofFileError: The file does not contain a proof.
        ProofError: The proof is invalid, or is about something else.
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


def _read(path: TextSource) -> Proof | MemberProof | ExtensionProof:
    try:
        with open_text(path) as file:
            data = file.read(MAX_PROOF_BYTES + 1)
    except UnreadableFileError as error:
        raise ProofFileError(path, f"it cannot be read. {error}") from None
    if len(data) > MAX_PROOF_BYTES:
        raise ProofFileError(path, f"it is larger than {MAX_PROOF_BYTES:,} bytes.")
    try:
        value = decode(without_mark(str(path), data, "JSON"))
    except CanonicalError as error:
        raise ProofFileError(path, str(error)) from None
    kind = value.get("format") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProofFileError(path, f"its `format` is not {choice(_KINDS)}.")
    try:
        proof = msgspec.convert(value, _KINDS[kind])
    except msgspec.ValidationError as error:
        raise ProofFileError(path, f"{error}.") from None
    named = proof.trace if isinstance(proof, Proof) else None
    if named is not None and not is_digest(named):
        raise ProofFileError(path, "its `trace` is not a digest.")
    return proof
