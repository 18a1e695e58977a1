"""The portable mode: the same bits on any x86-64 CPU with AVX2 and FMA.

This holds for any vendor, vector width, cache size and number of threads. `grids` makes sums
independent of their order; `pins` keeps products from being fused with additions. No rounding is
left to a library or to the compiler, so code for older instruction sets, without FMA, has the same
bits too; that is tested, not promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunixrt.ml.environment import PORTABLE
from tunixrt.ml.numerics import (
    attention,
    elementwise,
    grids,
    losses,
    norms,
    products,
    transcendental,
)
from tunixrt.ml.numerics.protocol import DEFAULT_MAX_LENGTH
from tunixrt.ml.xla import Array, jnp

if TYPE_CHECKING:
    from tunixrt.ml.numerics.slots import Slots


class PortableNumerics:
    """The operations of `Numerics` with exact sums. Needs `jax_enable_x64`."""

    mode = PORTABLE

    def linear(self, x: Array, w: Array) -> Array:
        """Multiply by a matrix; see `products`."""
        return products.linear(x, w)

    def logits(self, x: Array, table: Array) -> Array:
        """Multiply by the transposed embedding table; see `products`."""
        return products.linear(x, table.T)

    def embed(self, table: Array, ids: Array) -> Array:
        """Take rows of a table; see `products`."""
        return products.embed(table, ids)

    def rms_norm(self, x: Array, scale: Array, eps: float) -> Array:
        """Normalise by the root of the mean square; see `norms`."""
        return norms.rms_norm(x, scale, eps)

    def rotate(self, x: Array, cos: Array, sin: Array) -> Array:
        """Apply rotary position embeddings; see `elementwise`."""
        return elementwise.rotate(x, cos, sin)

    def attention(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array,
        scale: float,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,
    ) -> Array:
        """Attend with softmax over the visible keys; see `attention`."""
        return attention.attention(q, k, v, mask, scale, max_length=max_length)

    def slots(self, k: Array, v: Array, *, max_length: int = DEFAULT_MAX_LENGTH) -> Slots:
        """Lay out keys and values, on their grids; see `attention`."""
        return attention.slots(k, v, max_length)

    def attend_to_slots(
        self,
        q: Array,
        slots: Slots,
        mask: Array,
        scale: float,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,
    ) -> Array:
        """Attend with softmax over the visible slots; see `attention`."""
        return attention.attend_to_slots(q, slots, mask, scale, max_length=max_length)

    def cross_entropy(self, logits: Array, targets: Array, weights: Array) -> Array:
        """Sum the weighted negative log-likelihoods; see `losses`."""
        return losses.cross_entropy(logits, targets, weights)

    def global_norm(self, tree: Any) -> Array:
        """Compute the norm over all leaves; see `norms`."""
        return norms.global_norm(tree)

    def inverse_sqrt(self, x: Array) -> Array:
        """Compute one over the square root; see `elementwise`."""
        return elementwise.inverse_sqrt(x)

    def gelu(self, x: Array) -> Array:
        """Compute the tanh approximation of GELU; see `elementwise`."""
        return elementwise.gelu(x)

    def silu(self, x: Array) -> Array:
        """Compute x times its logistic function; see `elementwise`."""
        return elementwise.silu(x)

    def multiply(self, a: Array, b: Array) -> Array:
        """Multiply elementwise; see `elementwise`."""
        return elementwise.multiply(*_arrays(a, b))

    def multiply_add(self, a: Array, b: Array, c: Array) -> Array:
        """Multiply and add elementwise; see `elementwise`."""
        return elementwise.multiply_add(*_arrays(a, b, c))

    def weighted_sum(self, a: Array, x: Array, b: Array, y: Array) -> Array:
        """Add two products elementwise; see `elementwise`."""
        return elementwise.weighted_sum(*_arrays(a, x, b, y))

    def exp(self, x: Array) -> Array:
        """Compute the exponential function; see `transcendental`."""
        return transcendental.exp(x)

    def running_sum(self, x: Array) -> Array:
        """Add up along the last axis; see `grids`."""
        return grids.running_sum(x)


def _arrays(*operands: Array | float) -> list[Array]:
    """Python numbers as float32 arrays."""
    return [jnp.asarray(operand, jnp.float32) for operand in operands]
