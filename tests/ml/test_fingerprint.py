"""The fingerprint of the weights: what it sees, and that a reader of the page finds the same."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.making.models import copying_examples, decoder, tiny_config
from tunixrt.ml import environment
from tunixrt.ml.fingerprint import fingerprint as plain_fingerprint
from tunixrt.ml.training import model_config_of, train

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("fast_mode")

fingerprint = jax.jit(plain_fingerprint)


@pytest.fixture
def params() -> Any:
    return nnx.state(decoder(model_config_of(tiny_config())), nnx.Param)


def changed(params: Any, leaf: int, change: Any) -> Any:
    """The params with one leaf, as flat bits, changed in place."""
    leaves, structure = jax.tree.flatten(params)
    array = np.array(leaves[leaf])
    change(array.reshape(-1).view(np.uint32))
    leaves[leaf] = jnp.asarray(array)
    return jax.tree.unflatten(structure, leaves)


def read_by_the_page(model: Path) -> int:
    """docs/format.md in words of Python, an entry at a time; nothing of tunixrt, jax or numpy."""
    data = (model / "model.safetensors").read_bytes()
    (n_header,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n_header])
    header.pop("__metadata__")
    position = total = 0
    for name in sorted(header):
        start, end = (8 + n_header + offset for offset in header[name]["data_offsets"])
        for (bits,) in struct.iter_unpack("<I", data[start:end]):
            x = (bits + position * 0x9E3779B9) % 2**32
            y = (x ^ x >> 16) * 0x85EBCA6B % 2**32
            z = (y ^ y >> 13) * 0xC2B2AE35 % 2**32
            total += z ^ z >> 16
            position += 1
    return total % 2**32


@pytest.mark.parametrize("mode", environment.NUMERIC_MODES)
def test_the_last_line_has_the_fingerprint_of_the_published_weights(
    mode: str, tmp_path: Path
) -> None:
    config = tiny_config("training.num_steps=11", f"training.numeric_mode={mode}")
    train(config, copying_examples(), tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line)["weights_fingerprint"] for line in lines]
    assert len(set(found)) == len(found) == 11
    assert int(found[-1], 16) == read_by_the_page(tmp_path / "model")
    assert {len(one) for one in found} == {8}


@pytest.mark.parametrize("mode", environment.NUMERIC_MODES)
def test_it_is_a_uint32_and_the_same_inside_of_jit(mode: str, params: Any) -> None:
    environment.prepare(mode)
    outside, inside = plain_fingerprint(params), fingerprint(params)
    assert outside.dtype == inside.dtype == jnp.uint32
    assert outside.shape == ()
    assert outside == inside


def test_every_single_bit_is_seen(params: Any) -> None:
    before = fingerprint(params)
    for leaf, array in enumerate(jax.tree.leaves(params)):
        for place in (0, array.size // 2, array.size - 1):
            for bit in (0, 1, 13, 22, 23, 31):

                def flip(bits: Any, place: int = place, bit: int = bit) -> None:
                    bits[place] ^= np.uint32(1 << bit)

                assert fingerprint(changed(params, leaf, flip)) != before


def test_signs_that_flip_in_pairs_are_seen(params: Any) -> None:
    """Their bits change by 2**31 each, so a sum of multiples of them would not notice."""
    before = fingerprint(params)

    def flip_two(bits: Any) -> None:
        bits[[3, 6]] ^= np.uint32(1 << 31)

    for leaf in range(len(jax.tree.leaves(params))):
        assert fingerprint(changed(params, leaf, flip_two)) != before


def test_entries_that_change_places_are_seen(params: Any) -> None:
    before = fingerprint(params)

    def oppose(bits: Any) -> None:
        bits[9] = bits[4] ^ np.uint32(1 << 31)

    def swap(bits: Any) -> None:
        bits[[4, 9]] = bits[[9, 4]]

    leaf = max(range(len(jax.tree.leaves(params))), key=lambda n: jax.tree.leaves(params)[n].size)
    assert fingerprint(changed(params, leaf, swap)) != before
    opposed = changed(params, leaf, oppose)
    assert fingerprint(changed(opposed, leaf, swap)) != fingerprint(opposed)


def test_tensors_that_change_places_are_seen(params: Any) -> None:
    leaves, structure = jax.tree.flatten(params)
    random = np.random.default_rng(0)
    leaves = [jnp.asarray(random.normal(size=leaf.shape), jnp.float32) for leaf in leaves]
    before = fingerprint(jax.tree.unflatten(structure, leaves))
    pairs = [
        (a, b) for a in range(len(leaves)) for b in range(a) if leaves[a].shape == leaves[b].shape
    ]
    assert pairs
    for a, b in pairs:
        swapped = list(leaves)
        swapped[a], swapped[b] = leaves[b], leaves[a]
        assert fingerprint(jax.tree.unflatten(structure, swapped)) != before
