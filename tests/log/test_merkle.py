from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixrt.log.digests import from_hex
from tunixrt.log.merkle import MerkleTree, inclusion_proof, leaf_hash, root_from_proof, root_of

# The leaves and roots that the test suites of Certificate Transparency have in common.
_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _reference(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + _reference(leaves[:k]) + _reference(leaves[k:])).digest()


def _numbered(n: int) -> list[bytes]:
    return [b"%d" % i for i in range(n)]


@pytest.mark.parametrize("n", range(9))
def test_the_roots_are_those_of_certificate_transparency(n: int) -> None:
    assert root_of(_LEAVES[:n]) == from_hex(_ROOTS[n])


@pytest.mark.parametrize("n", [1023, 1024, 1025, 2047, 2048, 2049, 3072, 4097, 7168, 8191])
def test_a_tree_of_many_leaves_is_the_recursion_of_the_rfc(n: int) -> None:
    leaves = _numbered(n)
    tree = MerkleTree()
    for leaf in leaves:
        tree.append(leaf)
    assert tree.n_leaves == n
    assert tree.root() == _reference(leaves)


@given(st.lists(st.integers(0, 3000), max_size=5))
def test_leaves_that_are_added_in_batches_make_the_same_tree(sizes: list[int]) -> None:
    leaves = _numbered(sum(sizes))
    one_by_one, in_batches = MerkleTree(), MerkleTree()
    for leaf in leaves:
        one_by_one.append(leaf)
    start = 0
    for size in sizes:
        in_batches.extend_hashes([leaf_hash(leaf) for leaf in leaves[start : start + size]])
        start += size
    assert in_batches.n_leaves == one_by_one.n_leaves
    assert in_batches.root() == one_by_one.root()


def test_the_root_may_be_asked_for_while_the_tree_grows() -> None:
    tree = MerkleTree()
    for n in range(1100):
        if n in (0, 1, 2, 3, 700, 1024, 1099):
            assert tree.root() == _reference(_numbered(n))
        tree.append(b"%d" % n)


@given(st.integers(1, 200), st.data())
def test_an_audit_path_leads_from_its_leaf_to_the_root_and_no_other_does(
    n: int, data: st.DataObject
) -> None:
    leaves = _numbered(n)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    index = data.draw(st.integers(0, n - 1))
    path = inclusion_proof(hashes, index)
    root = _reference(leaves)
    assert root_from_proof(hashes[index], index, n, path) == root
    other = data.draw(st.integers(-2, n + 2))
    if other != index:
        assert root_from_proof(hashes[index], other, n, path) != root
    assert root_from_proof(leaf_hash(b"another"), index, n, path) != root
    assert root_from_proof(hashes[index], index, n, [*path, root]) is None
    if path:
        assert root_from_proof(hashes[index], index, n, path[:-1]) != root
