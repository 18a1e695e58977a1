"""The operations of both numeric modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tunixrt.ml.numerics.slots import Slots
    from tunixrt.ml.xla import Array

DEFAULT_MAX_LENGTH = 2048
"""The bound on the number of keys that `attention` assumes when none is given."""


class Numerics(Protocol):
    """Operations on float32 arrays; each is differentiable and may be jitted and scanned.

    Shapes are static. Letters: B rows of a batch, T queries, S keys, H query heads, Kh key heads
    (H is a multiple of Kh), Dh the size of a head, D the width of the model, V the vocabulary.
    Results are float32 unless said otherwise.

    Addition, subtraction, division, square root, maximum, comparison and selection have the same
    bits everywhere and may be used directly. A product that enters an addition may not, since the
    compiler may or may not fuse the two: use `multiply`, `multiply_add` and `weighted_sum`.
    """

    @property
    def mode(self) -> str:
        """`fast` or `portable`."""

    def linear(self, x: Array, w: Array) -> Array:
        """Multiply `x` [..., K] by `w` [K, N] into [..., N]."""

    def logits(self, x: Array, table: Array) -> Array:
        """Multiply `x` [..., D] by the transposed embedding `table` [V, D] into [..., V]."""

    def embed(self, table: Array, ids: Array) -> Array:
        """Take the rows `ids` [...] (int32) of `table` [V, D] into [..., D]."""

    def rms_norm(self, x: Array, scale: Array, eps: float) -> Array:
        """Normalise `x` [..., D] as Gemma does: `x / sqrt(mean(x ** 2) + eps) * (1 + scale)`."""

    def rotate(self, x: Array, cos: Array, sin: Array) -> Array:
        """Apply rotary position embeddings to `x` [B, T, H, Dh].

        `cos` and `sin` [B, T, Dh / 2] are rows of `tables.rope_table`. Entry j is paired with
        entry j + Dh / 2, as Hugging Face's checkpoints of Gemma and Llama expect.
        """

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
        """Attend with `q` [B, T, H, Dh] to `k` and `v` [B, S, Kh, Dh] into [B, T, H, Dh].

        `mask` [B, T, S] (bool) selects the keys that a query may see. The output of a query
        that may see none is zero. `scale` multiplies the scores. `max_length` bounds S over the
        life of the model: a constant of its configuration, so that padding does not change bits.

        Raises:
            ValueError: S exceeds `max_length`.
        """

    def slots(self, k: Array, v: Array, *, max_length: int = DEFAULT_MAX_LENGTH) -> Slots:
        """Lay out `k` and `v` [B, T, Kh, Dh] as `attend_to_slots` reads them, T slots."""

    def attend_to_slots(
        self,
        q: Array,
        slots: Slots,
        mask: Array,
        scale: float,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,
    ) -> Array:
        """Attend as `attention` does, to keys and values in slots; `mask` is [B, T, S].

        `max_length` bounds how many slots a query sees. More slots may exist, hidden by the mask.
        """

    def cross_entropy(self, logits: Array, targets: Array, weights: Array) -> Array:
        """Sum `-weights * log_softmax(logits)[targets]` into a scalar.

        `logits` [N, V], `targets` [N] (int32), `weights` [N], each within [0, 1]. The caller
        divides by the number of tokens.
        """

    def global_norm(self, tree: Any) -> Array:
        """Compute the square root of the sum of squares over all leaves, a scalar."""

    def inverse_sqrt(self, x: Array) -> Array:
        """Compute `1 / sqrt(x)` elementwise."""

    def gelu(self, x: Array) -> Array:
        """Compute the tanh approximation of GELU elementwise (Hendrycks and Gimpel 2016)."""

    def silu(self, x: Array) -> Array:
        """Compute `x / (1 + exp(-x))` elementwise."""

    def multiply(self, a: Array, b: Array) -> Array:
        """Compute `a * b`, broadcasting, rounded to float32 before any other operation."""

    def multiply_add(self, a: Array, b: Array, c: Array) -> Array:
        """Compute `a * b + c`, broadcasting."""

    def weighted_sum(self, a: Array, x: Array, b: Array, y: Array) -> Array:
        """Compute `a * x + b * y`, broadcasting."""

    def exp(self, x: Array) -> Array:
        """Compute the exponential function elementwise; 0 where it is below 1e-37."""

    def running_sum(self, x: Array) -> Array:
        """Add up `x` [..., N], each within [0, 1], along the last axis: entry i is the sum to i.

        The result is float64 in portable mode: rounding it would break the order of its entries.
        """
