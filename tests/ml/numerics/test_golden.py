"""The bits of every operation of the portable mode, as they were found once: on any CPU the same.

A digest covers the value and all gradients for fixed inputs. After a change of the numerics that is
meant to change bits, print the new ones with `python -m tests.ml.numerics.test_golden`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tunixrt.ml import environment

environment.prepare("fast")  # the flags of XLA, where this is run as a program

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tests.ml.numerics.arrays import bits  # noqa: E402
from tunixrt.ml.numerics import numerics_for  # noqa: E402
from tunixrt.ml.tables import normal_matrix, rope_table  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

PORTABLE: Any = numerics_for("portable")
IDS = (np.arange(96, dtype=np.int32) * 37) % 61
CAUSAL = np.broadcast_to(np.tril(np.ones((24, 24), bool)), (4, 24, 24))
ROPE = [np.broadcast_to(table, (4, 24, 12)) for table in rope_table(24, 24, 10_000.0)]

GOLDEN: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], str]] = {
    "linear": (PORTABLE.linear, ((96, 130), (130, 70)), "7829c6f329b7be58"),
    "logits": (PORTABLE.logits, ((96, 40), (61, 40)), "488bf508a7ec5177"),
    "embed": (lambda table: PORTABLE.embed(table, IDS), ((61, 40),), "bed77107c1db4bba"),
    "rms_norm": (lambda x, s: PORTABLE.rms_norm(x, s, 1e-6), ((96, 72), (72,)), "0eb3f4072d61fe68"),
    "rotate": (lambda x: PORTABLE.rotate(x, *ROPE), ((4, 24, 6, 24),), "062937c5774971a1"),
    "attention": (
        lambda q, k, v: PORTABLE.attention(q, k, v, CAUSAL, 0.2, max_length=64),
        ((4, 24, 6, 24), (4, 24, 2, 24), (4, 24, 2, 24)),
        "09d64a59a41f289d",
    ),
    "cross_entropy": (
        lambda logits: PORTABLE.cross_entropy(4 * logits, IDS, jnp.ones(96, jnp.float32)),
        ((96, 61),),
        "10e212f4b99d20b2",
    ),
    "global_norm": (
        lambda a, b: PORTABLE.global_norm([a, b]),
        ((96, 61), (7,)),
        "8e271163990520e4",
    ),
    "gelu": (PORTABLE.gelu, ((1000,),), "adcd59a490edd911"),
    "silu": (PORTABLE.silu, ((1000,),), "024b756c8d7a4e67"),
    "inverse_sqrt": (
        lambda x: PORTABLE.inverse_sqrt(jnp.abs(x) + np.float32(0.01)),
        ((1000,),),
        "9c79d455e43e9572",
    ),
    "multiply": (PORTABLE.multiply, ((96, 61), (61,)), "fb3cbc246fb8b3c1"),
    "multiply_add": (PORTABLE.multiply_add, ((96, 61), (61,), (96, 1)), "37c0e3cb0c326a33"),
    "weighted_sum": (PORTABLE.weighted_sum, ((), (96, 61), (), (96, 61)), "c7c6435825e8a8b5"),
}


def digest(name: str) -> str:
    """The first 64 bits of the SHA-256 of an operation's value and gradients."""
    function, shapes, _ = GOLDEN[name]
    operands = [normal_matrix(1, f"{name} {n}", shape, 1.0) for n, shape in enumerate(shapes)]
    shape = jax.eval_shape(function, *operands).shape
    gradient = normal_matrix(1, f"{name} gradient", shape, 1.0)

    @jax.jit
    def both(gradient: Any, *operands: Any) -> Any:
        value, pull = jax.vjp(function, *operands)
        return value, pull(gradient)

    leaves = jax.tree.leaves(both(gradient, *operands))
    return hashlib.sha256(b"".join(bits(leaf) for leaf in leaves)).hexdigest()[:16]


@pytest.mark.parametrize("name", GOLDEN)
def test_an_operation_has_the_bits_it_had_on_other_machines(name: str) -> None:
    assert digest(name) == GOLDEN[name][2]


def main() -> None:
    """Print the digests of this machine."""
    environment.prepare("portable")
    for name in GOLDEN:
        print(name, digest(name))


if __name__ == "__main__":
    main()
