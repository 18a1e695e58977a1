"""Proofs that a dataset lists a trace, which anyone can check without the store.

A proof leads from the line of the member, through the Merkle tree over all member lines, to the
four fields over which the dataset digest is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.files import DATASET_SCHEMA_VERSION, Dataset, member_lines, members
from tunixrt.datasets.recipes import Recipe
from tunixrt.datasets.selection import Member
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_value, from_raw, is_hex
from tunixrt.log.merkle import inclusion_proof, leaf_hash, root_from_proof
from tunixrt.log.proofs import ProofError

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER_PROOF_FORMAT = "tunixrt-member-proof-1"


class NotAMemberError(BadInputError):
    """The dataset does not list the trace, so nothing can be proved."""

    def __init__(self, trace: Digest, dataset: Dataset) -> None:
        super().__init__(f"The dataset {dataset.key} does not list the trace {trace}.")
        self.trace = trace


class DatasetHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields over which a dataset digest is computed."""

    dataset_schema_version: str
    members_root: Digest
    n_members: int
    recipe: Recipe


class MemberProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proof that a dataset lists a trace.

    Attributes:
        format: ``tunixrt-member-proof-1``.
        member: The trace and its split.
        index: The place of its line among all member lines, counted from 0.
        path: The audit path (RFC 9162, section 2.1.3) from the line to the root, hexadecimal.
        dataset: The fields over which the dataset digest is computed.
    """

    format: str
    member: Member
    index: int
    path: tuple[str, ...]
    dataset: DatasetHead


def prove_member(dataset: Dataset, trace: Digest) -> MemberProof:
    """Return a proof that a dataset lists a trace.

    Raises:
        NotAMemberError: If it does not list it.
        DamagedError: If a member line is damaged.
    """
    found = next((pair for pair in enumerate(members(dataset)) if pair[1].trace == trace), None)
    if found is None:
        raise NotAMemberError(trace, dataset)
    index, member = found
    manifest = dataset.manifest
    path = inclusion_proof(_leaves(dataset), index)
    return MemberProof(
        format=MEMBER_PROOF_FORMAT,
        member=member,
        index=index,
        path=tuple(value.hex() for value in path),
        dataset=DatasetHead(
            dataset_schema_version=DATASET_SCHEMA_VERSION,
            members_root=manifest.members_root,
            n_members=manifest.trace_count,
            recipe=manifest.recipe,
        ),
    )


def check_member(proof: MemberProof, dataset: Digest, trace: Digest) -> None:
    """Check a proof against a trusted dataset digest, without a store.

    Raises:
        ProofError: If it does not prove that this dataset lists this trace.
    """
    if proof.format != MEMBER_PROOF_FORMAT or proof.member.trace != trace:
        raise ProofError(
            f"This is not a proof of format {MEMBER_PROOF_FORMAT} for the trace {trace}."
        )
    head = proof.dataset
    if _root(proof) != head.members_root:
        raise ProofError("The member in the proof is not part of the dataset.")
    if digest_value(head) != dataset:
        raise ProofError(f"The proof is for the dataset {digest_value(head)}, not for {dataset}.")


def _leaves(dataset: Dataset) -> Iterator[bytes]:
    return (leaf_hash(line) for _, _, line in member_lines(dataset.path))


def _root(proof: MemberProof) -> Digest | None:
    if not all(is_hex(value) for value in proof.path):
        return None
    leaf = leaf_hash(encode(proof.member))
    path = [bytes.fromhex(value) for value in proof.path]
    root = root_from_proof(leaf, proof.index, proof.dataset.n_members, path)
    return None if root is None else from_raw(root)
