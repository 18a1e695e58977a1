"""Merkle trees of RFC 9162 (Certificate Transparency 2.0), section 2.1, over SHA-256.

MTH({}) = SHA-256(""); MTH({d}) = SHA-256(0x00 || d);
MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n])), k the largest power of two below n.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tunixrt.log.digests import Digest, from_raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CHUNK = 1024  # a power of two: that many leaves make one complete subtree


def leaf_hash(leaf: bytes) -> bytes:
    """Return the 32-byte hash of a leaf: SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """A Merkle tree that grows at its end and keeps O(log n) hashes."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []  # leaf hashes of the incomplete last chunk
        self._peaks: list[bytes] = []  # roots of complete subtrees, largest first
        self._n_chunks = 0

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return self._n_chunks * _CHUNK + len(self._pending)

    def append(self, leaf: bytes) -> None:
        """Add a leaf at the end."""
        self.append_hash(leaf_hash(leaf))

    def append_hash(self, leaf: bytes) -> None:
        """Add a leaf, given its leaf hash (32 bytes)."""
        self._pending.append(leaf)
        if len(self._pending) >= _CHUNK:
            self._settle()

    def extend_hashes(self, leaves: Sequence[bytes]) -> None:
        """Add many leaves, given their leaf hashes (32 bytes each)."""
        self._pending += leaves
        if len(self._pending) >= _CHUNK:
            self._settle()

    def _settle(self) -> None:
        """Turn the complete chunks among the pending leaf hashes into peaks."""
        pending = self._pending
        n_settled = len(pending) - len(pending) % _CHUNK
        for start in range(0, n_settled, _CHUNK):
            self._peaks.append(_subtree_root(pending[start : start + _CHUNK]))
            self._n_chunks += 1
            # The number of equal subtrees to join is the number of trailing zero bits of the count.
            n_chunks = self._n_chunks
            while n_chunks % 2 == 0:
                right = self._peaks.pop()
                self._peaks[-1] = node_hash(self._peaks[-1], right)
                n_chunks //= 2
        del pending[:n_settled]

    def root(self) -> bytes:
        """Return the root, 32 bytes. More leaves may be added afterwards."""
        subtrees = list(self._peaks)
        if self._pending:
            subtrees.append(_subtree_root(self._pending))
        if not subtrees:
            return sha256(b"").digest()
        root = subtrees.pop()
        while subtrees:
            root = node_hash(subtrees.pop(), root)
        return root


def root_of(leaves: Iterable[bytes]) -> Digest:
    """Return the Merkle root over the leaves, as a digest."""
    tree = MerkleTree()
    for leaf in leaves:
        tree.append(leaf)
    return from_raw(tree.root())


def _subtree_root(hashes: Sequence[bytes]) -> bytes:
    # Level by level, an odd last node moving up as it is: the same tree as the RFC's recursion,
    # because every subtree but the last of a level is complete.
    level = list(hashes)
    while len(level) > 1:
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def inclusion_proof(leaves: Iterable[bytes], index: int) -> list[bytes]:
    """Return the audit path of a leaf (RFC 9162, section 2.1.3.1).

    Args:
        leaves: The leaf hashes of the whole tree, 32 bytes each; they are read once, and O(log^2 n)
            hashes are kept.
        index: Which leaf, counted from 0.

    Returns:
        32-byte hashes, from the leaf's sibling up to a child of the root.
    """
    # Seen from the leaf, every other leaf is in exactly one sibling subtree: the one at the height
    # of the highest bit in which their indices differ.
    siblings: dict[int, MerkleTree] = {}
    for other, leaf in enumerate(leaves):
        if other != index:
            height = (other ^ index).bit_length()
            siblings.setdefault(height, MerkleTree()).append_hash(leaf)
    return [siblings[height].root() for height in sorted(siblings)]


def root_from_proof(leaf: bytes, index: int, n_leaves: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an audit path leads to (RFC 9162, section 2.1.3.2).

    Args:
        leaf: The leaf hash, 32 bytes.
        index: The leaf's index, counted from 0.
        n_leaves: How many leaves the tree has.
        path: The audit path.

    Returns:
        The root, 32 bytes, or None when the path cannot belong to such a leaf.
    """
    if not 0 <= index < n_leaves:
        return None
    first, last, root = index, n_leaves - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if first % 2 or first == last:
            root = node_hash(sibling, root)
            while first % 2 == 0 and first:
                first //= 2
                last //= 2
        else:
            root = node_hash(root, sibling)
        first //= 2
        last //= 2
    return root if last == 0 else None
