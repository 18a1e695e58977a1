"""The arithmetic that training and inference use, in two modes.

A model or an optimizer calls these operations instead of `jax.numpy` wherever the order of
additions, or the fusing of a product with an addition, could decide the last bit. `fast` is plain
float32. `portable` gives the same bits on any x86-64 CPU with AVX2 and FMA.
"""

from __future__ import annotations

from tunixrt.ml.environment import FAST, PORTABLE, UnknownNumericModeError
from tunixrt.ml.numerics.fast import FastNumerics
from tunixrt.ml.numerics.portable import PortableNumerics
from tunixrt.ml.numerics.protocol import Numerics

__all__ = ["FastNumerics", "Numerics", "PortableNumerics", "numerics_for"]


def numerics_for(mode: str) -> Numerics:
    """Return the operations of a numeric mode.

    Args:
        mode: `fast` or `portable`.

    Raises:
        UnknownNumericModeError: The mode does not exist.
    """
    if mode == FAST:
        return FastNumerics()
    if mode == PORTABLE:
        return PortableNumerics()
    raise UnknownNumericModeError(mode)
