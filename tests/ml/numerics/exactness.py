"""Prove of every sum in a function that no order of its additions could matter.

Results rounded to float32 hide nearly every rounding of the float64 sums before them, so comparing
results is a weak test of exactness. Here the numbers that are summed are looked at: all terms are
multiples of a power of two, and their magnitudes add up to at most 2**53 of it. Then every partial
sum, in whatever order, is an integer that float64 holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CALLS: Final = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
}
_SUMS: Final = ("dot_general", "reduce_sum", "scatter-add", "cumsum", "reduce_window_sum")
_CONTROL: Final = ("while", "scan", "cond")


class InexactSumError(AssertionError):
    """A sum could round."""


class _Sum(NamedTuple):
    """A sum that was met while tracing, and its operands."""

    name: str
    parameters: dict[str, Any]
    operands: list[Any]


def count_exact_sums(function: Callable[..., Any], *operands: Any) -> int:
    """Evaluate a function and check every sum of floating-point numbers in it.

    Returns:
        How many there were.

    Raises:
        InexactSumError: One of them could depend on the order of its additions.
    """
    leaves, tree = jax.tree.flatten(operands)
    closed = jax.make_jaxpr(lambda *leaves: function(*jax.tree.unflatten(tree, leaves)))(*leaves)
    met: list[_Sum] = []

    @jax.jit
    def operands_of_sums(*leaves: Any) -> list[list[Any]]:
        met.clear()
        _evaluate(closed.jaxpr, closed.consts, leaves, met)
        return [one.operands for one in met]

    values = operands_of_sums(*leaves)
    for one, found in zip(met, values, strict=True):
        _check(one.name, one.parameters, [np.asarray(value) for value in found])
    return len(met)


def _evaluate(
    jaxpr: Any, constants: Sequence[Any], operands: Sequence[Any], met: list[_Sum]
) -> list[Any]:
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    values.update(zip(jaxpr.invars, operands, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        name, inputs = equation.primitive.name, [read(atom) for atom in equation.invars]
        if name in _CALLS:
            inner = equation.params[_CALLS[name]]
            results = _evaluate(inner.jaxpr, inner.consts, inputs, met)
        else:
            if name in _CONTROL:
                raise NotImplementedError(name)
            if name in _SUMS and np.issubdtype(equation.outvars[0].aval.dtype, np.floating):
                met.append(_Sum(name, equation.params, inputs))
            found = equation.primitive.bind(*inputs, **equation.params)
            results = found if equation.primitive.multiple_results else [found]
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _check(name: str, parameters: dict[str, Any], inputs: list[Any]) -> None:
    if inputs[0].dtype != np.float64:
        raise InexactSumError(f"{name} adds up {inputs[0].dtype} numbers.")
    if name == "dot_general":
        total, unit = _products(parameters["dimension_numbers"], *inputs)
    elif name == "reduce_sum":
        axes = parameters["axes"]
        total = np.abs(inputs[0]).sum(axes)
        unit = _last_bits(inputs[0]).min(axes, initial=2000)
    elif name == "scatter-add":
        # All updates together, as if they went to one place.
        total = np.abs(inputs[2]).sum() + np.abs(inputs[0]).max()
        unit = min(_last_bits(inputs[0]).min(), _last_bits(inputs[2]).min())
    else:
        raise InexactSumError(f"{name} is not expected.")
    allowed = np.ldexp(2.0**53, np.minimum(unit, 900))  # all terms may be zero
    if not (total <= allowed).all():
        worst = float(np.max(np.asarray(total) / allowed))
        raise InexactSumError(f"{name}: terms add up to {worst} times what is exact.")


def _products(dimensions: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """For every entry of a product: the sum of magnitudes, and the last bit of its terms."""
    total = np.asarray(jax.lax.dot_general(np.abs(left), np.abs(right), dimensions))
    (left_axes, right_axes), (left_batch, right_batch) = dimensions
    last = []
    for operand, axes, batch in ((left, left_axes, left_batch), (right, right_axes, right_batch)):
        free = [axis for axis in range(operand.ndim) if axis not in (*axes, *batch)]
        moved = np.transpose(_last_bits(operand), [*batch, *free, *axes])
        shape = [operand.shape[axis] for axis in (*batch, *free)]
        last.append((moved.reshape(*shape, -1), len(batch), len(free)))
    (a, n_batch, n_left), (b, _, n_right) = last
    a = a.reshape(*a.shape[: n_batch + n_left], *[1] * n_right, a.shape[-1])
    b = b.reshape(*b.shape[:n_batch], *[1] * n_left, *b.shape[n_batch:])
    return total, np.min(a + b, axis=-1)


def _last_bits(x: Any) -> Any:
    """The exponent of the last bit that is set; 1000 for zero, which is a multiple of anything."""
    fraction, exponent = np.frexp(x)
    integer = (np.abs(fraction) * 2.0**53).astype(np.int64)
    trailing = np.log2(np.maximum(integer & -integer, 1)).astype(np.int64)
    return np.where(x == 0, 1000, exponent.astype(np.int64) - 53 + trailing)
