"""Elementwise operations: right, and the same bits whatever is compiled around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped]
from jax.test_util import check_grads

from tests.ml.numerics.arrays import bits, gradients, largest_error, normal, wild
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.numerics.pins import pin, pin_wide
from tunixrt.ml.numerics.transcendental import exp, log

if TYPE_CHECKING:
    from collections.abc import Callable

PORTABLE: Any = numerics_for("portable")
FAST: Any = numerics_for("fast")
N = 4000


def alone(function: Callable[..., Any], *operands: Any) -> Any:
    return jax.jit(function)(*operands)


def test_the_compiler_does_fuse_plain_products_with_additions() -> None:
    """Why all this is needed: should this fail one day, `pin` may no longer be."""
    a, b, c = normal(1, N), normal(2, N), normal(3, N)
    plain = alone(lambda a, b, c: a * b + c, a, b, c)
    fused = (a.astype(np.float64) * b + c).astype(np.float32)
    assert bits(plain) == bits(fused)
    assert bits(plain) != bits(a * b + c)


def test_a_pinned_product_is_not_fused_with_an_addition() -> None:
    a, b, c = normal(1, N), normal(2, N), normal(3, N)
    assert bits(alone(lambda a, b, c: PORTABLE.multiply(a, b) + c, a, b, c)) == bits(a * b + c)
    assert bits(alone(lambda a, b, c: c - PORTABLE.multiply(a, b), a, b, c)) == bits(c - a * b)
    assert bits(alone(lambda a, b: PORTABLE.multiply(a, b) + 1, a, b)) == bits(a * b + 1)


def test_pinning_changes_nothing_but_one_nan() -> None:
    patterns = np.random.default_rng(0).integers(0, 2**32, N).astype(np.uint32)
    patterns[:6] = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFFFFFFF]
    assert (np.asarray(pin(jnp.asarray(patterns.view(np.float32))))).view(
        np.uint32
    ).tolist() == patterns.tolist()
    wide = np.arange(-3, 3, dtype=np.float64)
    assert (np.asarray(pin_wide(jnp.asarray(wide))) == wide).all()
    last = np.array([0x7FFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(pin(jnp.asarray(last))).all()


def test_multiply_add_and_weighted_sum_round_products_once() -> None:
    a, b, c, d = (normal(seed, N) for seed in range(4))
    wide = [part.astype(np.float64) for part in (a, b, c, d)]
    fused = alone(PORTABLE.multiply_add, a, b, c)
    assert bits(fused) == bits((wide[0] * wide[1] + wide[2]).astype(np.float32))
    both = alone(PORTABLE.weighted_sum, a, b, c, d)
    assert bits(both) == bits((wide[0] * wide[1] + wide[2] * wide[3]).astype(np.float32))


OPERATIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "gelu": (PORTABLE.gelu, 1),
    "silu": (PORTABLE.silu, 1),
    "inverse_sqrt": (lambda x: PORTABLE.inverse_sqrt(jnp.abs(x) + np.float32(0.1)), 1),
    "multiply": (PORTABLE.multiply, 2),
    "multiply_add": (PORTABLE.multiply_add, 3),
    "weighted_sum": (PORTABLE.weighted_sum, 4),
}


@pytest.mark.parametrize(("operation", "n_operands"), OPERATIONS.values(), ids=OPERATIONS)
def test_other_code_in_the_same_program_changes_no_bit(
    operation: Callable[..., Any], n_operands: int
) -> None:
    """Alone, after a product, before an addition, next to its gradient, in a loop, in any size."""
    operands = [normal(seed, N) for seed in range(n_operands)]
    g = normal(9, N)
    expected = alone(operation, *operands)
    pulled = gradients(operation, g, *operands)

    @jax.jit
    def crowded(g: Any, *operands: Any) -> Any:
        doubled = [PORTABLE.multiply(operand, np.float32(2)) for operand in operands]
        halved = [PORTABLE.multiply(operand, np.float32(0.5)) for operand in doubled]
        value, pull = jax.vjp(operation, *halved)
        found = pull(g)
        return value, found, value + operands[0], [part + value for part in found]

    value, found, added, found_added = crowded(g, *operands)
    assert bits((value, found)) == bits((expected, pulled))
    assert bits(added) == bits(np.asarray(expected) + operands[0])
    assert bits(found_added) == bits([np.asarray(part) + np.asarray(expected) for part in pulled])

    @jax.jit
    def looped(*operands: Any) -> Any:
        stacked = [operand.reshape(8, -1) for operand in operands]
        return jax.lax.map(lambda parts: operation(*parts), tuple(stacked))

    assert bits(looped(*operands).reshape(-1)) == bits(expected)
    for length in (1, 3, 17):
        short = alone(operation, *(operand[:length] for operand in operands))
        assert bits(short) == bits(expected[:length])


FUNCTIONS = {
    "exp": (exp, np.exp, np.clip(wild(1, N), -86, 86)),
    "log": (log, np.log, np.abs(wild(1, N)) + np.float32(1e-30)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_transcendental_functions_have_the_same_bits_in_every_program(name: str) -> None:
    function, reference, x = FUNCTIONS[name]
    expected = np.asarray(alone(function, x))
    exact = reference(x.astype(np.float64))
    np.testing.assert_allclose(expected, exact, rtol=2.0**-22, atol=2.0**-24)
    among = jax.jit(lambda x, y: PORTABLE.multiply(function(x), y) + function(x))
    assert bits(among(x, np.ones(N, np.float32))) == bits(expected + expected)
    for length in (1, 5, 33):
        assert bits(alone(function, x[:length])) == bits(expected[:length])
    one_by_one = jax.jit(lambda x: jax.lax.map(function, x))
    assert bits(one_by_one(x[:200])) == bits(expected[:200])


def test_exp_is_right_at_its_limits() -> None:
    x = np.array([-np.inf, -1e30, -87.1, -87, 0, 87, 88, np.inf, np.nan], np.float32)
    found = np.asarray(alone(exp, x))
    assert found[:3].tolist() == [0, 0, 0]
    assert found[4] == 1
    np.testing.assert_allclose(found[[3, 5]], np.exp([-87.0, 87.0]), rtol=2e-7)
    assert found[6] == found[7] == found[5]
    assert np.isnan(found[8])


def test_log_of_one_is_zero_and_of_powers_of_two_right() -> None:
    x = np.array([1, 2, 4, 0.5, 261], np.float32)
    assert bits(alone(log, x)) == bits(np.log(x.astype(np.float64)).astype(np.float32))


def test_activations_are_right() -> None:
    x = np.linspace(-12, 12, 2001, dtype=np.float32)
    wide = x.astype(np.float64)
    gelu = wide / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
    assert largest_error(alone(PORTABLE.gelu, x), gelu) < 2e-7
    assert largest_error(alone(PORTABLE.silu, x), wide * scipy.special.expit(wide)) < 2e-7
    positive = np.abs(x) + np.float32(0.01)
    exact = 1 / np.sqrt(positive.astype(np.float64))
    assert largest_error(alone(PORTABLE.inverse_sqrt, positive), exact) < 2e-7


@pytest.mark.parametrize(("operation", "n_operands"), OPERATIONS.values(), ids=OPERATIONS)
def test_gradients_agree_with_differences(operation: Callable[..., Any], n_operands: int) -> None:
    operands = [normal(seed, 30) for seed in range(n_operands)]
    check_grads(  # type: ignore[no-untyped-call]
        operation, operands, order=1, modes=["rev"], atol=0.02, rtol=0.02, eps=1e-2
    )


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_activations_and_their_gradients_agree_with_the_fast_mode(name: str) -> None:
    x, g = normal(1, N) * np.float32(3), normal(2, N)
    for mode in (getattr(PORTABLE, name), getattr(FAST, name)):
        assert largest_error(alone(mode, x), alone(getattr(FAST, name), x)) < 3e-7
        reference = gradients(getattr(FAST, name), g.astype(np.float64), x.astype(np.float64))
        assert largest_error(gradients(mode, g, x)[0], reference[0]) < 3e-6


def test_broadcast_operands_get_exact_sums_as_gradients() -> None:
    a: Any = wild(1, 6, 50)
    b, g = normal(2, 50), wild(3, 6, 50)
    order = np.random.default_rng(0).permutation(6)
    cases: list[tuple[Any, tuple[Any, ...]]] = [
        (PORTABLE.multiply, (a, b)),
        (PORTABLE.multiply_add, (a, b, normal(4, 6, 1))),
        (PORTABLE.weighted_sum, (a, b, normal(4, 1), np.float32(2))),
    ]
    for operation, operands in cases:
        found = gradients(operation, g, *operands)
        assert [part.shape for part in found] == [np.shape(operand) for operand in operands]
        moved = tuple(part[order] if np.shape(part)[:1] == (6,) else part for part in operands)
        for part, other in zip(found, gradients(operation, g[order], *moved), strict=True):
            restored = part[order] if part.shape[:1] == (6,) else part
            assert bits(restored) == bits(other)
        exact = (a.astype(np.float64) * g).sum(0)
        assert largest_error(found[1], exact) < 1e-6


def test_plain_numbers_are_operands_too() -> None:
    x = normal(1, 5)
    assert bits(PORTABLE.multiply(2.0, x)) == bits(x * np.float32(2))
    assert PORTABLE.weighted_sum(0.5, x, 0.5, x).dtype == jnp.float32


@pytest.mark.parametrize("mode", [PORTABLE, FAST], ids=["portable", "fast"])
def test_rotation_keeps_lengths_and_turns_pairs(mode: Any) -> None:
    x, angles = normal(1, 2, 5, 3, 8), normal(2, 2, 5, 4)
    cos, sin = np.cos(angles), np.sin(angles)
    found = np.asarray(jax.jit(mode.rotate)(x, cos, sin))
    pairs = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)[:, :, None]
    expected = np.concatenate((pairs.real, pairs.imag), -1)
    assert largest_error(found, expected) < 3e-7


def test_the_gradient_of_a_rotation_is_the_rotation_back() -> None:
    x, angles = normal(1, 2, 5, 3, 8), normal(2, 2, 5, 4)
    cos, sin = np.cos(angles), np.sin(angles)
    back = gradients(lambda x: PORTABLE.rotate(x, cos, sin), PORTABLE.rotate(x, cos, sin), x)
    assert largest_error(back[0], x) < 3e-7
