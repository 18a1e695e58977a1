"""Numbers that the host computes for a training: tables, schedules, initial weights.

The last bits of sin, cos, exp, log and pow depend on the CPU, in the C library and in NumPy, so
nothing here calls them. Everything is integer, rational or `decimal` arithmetic (libmpdec rounds
correctly, by definition of its specification), carried to far more digits than float32 has and
rounded once, at the end. The same arguments give the same bytes on every machine.
"""

from __future__ import annotations

import decimal
import hashlib
import json
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

Schedule = Literal["constant", "linear", "cosine"]

_FRACTION_BITS: Final = 192
"""Bits behind the binary point of the fixed-point integers below."""

_ONE: Final = 1 << _FRACTION_BITS

_DIGITS: Final = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_EVEN)
"""80 decimal digits are 265 bits, so fixed-point rounding dominates."""

_DRAWS: Final = 12
"""Uniform 16-bit integers that are added up for one initial weight."""

_WEIGHTS_A_BLOCK: Final = 1 << 15


def rope_table(
    n_positions: int, head_dim: int, theta: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the cosines and sines of rotary position embeddings (Su et al. 2021).

    Entry (p, j) is the cosine (sine) of `p * theta ** (-2 j / head_dim)`. The base angle of each
    column comes from `decimal`; the positions follow by rotating with 192-bit integers, whose
    error after n positions is below n * 2**-189, so the rounding to float32 is the only visible
    one.

    Args:
        n_positions: Number of rows; positions 0 to n_positions - 1.
        head_dim: Size of an attention head, even.
        theta: Base of the frequencies, for instance 10000.

    Returns:
        cos and sin, float32 [n_positions, head_dim / 2].
    """
    n_columns = head_dim // 2
    cosines = np.empty((n_positions, n_columns), np.float32)
    sines = np.empty((n_positions, n_columns), np.float32)
    log_theta = _DIGITS.ln(_decimal(theta))
    for column in range(n_columns):
        exponent = _DIGITS.divide(decimal.Decimal(-2 * column), decimal.Decimal(head_dim))
        angle = _DIGITS.exp(_DIGITS.multiply(exponent, log_theta))
        rows = list(_rotations(_fixed(angle), n_positions))
        cosines[:, column] = _round_all(cosine for cosine, _ in rows)
        sines[:, column] = _round_all(sine for _, sine in rows)
    return cosines, sines


def learning_rates(
    schedule: Schedule, *, learning_rate: float, num_steps: int, warmup_steps: int = 0
) -> NDArray[np.float32]:
    """Compute the learning rate of every training step.

    During the `warmup_steps` first steps the rate is `(step + 1) / (warmup_steps + 1)` of the
    peak, so that no step is spent at rate zero and the step after them is the first at the peak.
    From there, over the remaining n steps, number k of which counts from 0: `constant` stays,
    `linear` is `1 - k / n` and `cosine` is `(1 + cos(pi k / n)) / 2` of the peak.

    Args:
        schedule: What happens after the warm-up.
        learning_rate: The peak; its shortest decimal text is taken as the exact value.
        num_steps: Number of training steps.
        warmup_steps: Number of steps before the peak.

    Returns:
        float32 [num_steps].
    """
    peak = Fraction(_decimal(learning_rate))
    n_warmup = min(warmup_steps, num_steps)
    factors = [Fraction(step + 1, warmup_steps + 1) for step in range(n_warmup)]
    factors.extend(_decay(schedule, num_steps - n_warmup))
    return _round_all((peak * factor * _ONE).__round__() for factor in factors)


def adam_corrections(
    b1: float, b2: float, num_steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute Adam's bias corrections, as the factors to multiply the moments with.

    Entry i belongs to update t = i + 1 and is `1 / (1 - b ** t)` (Kingma and Ba 2015,
    algorithm 1).

    Args:
        b1: Decay of the first moment, 0 <= b1 < 1.
        b2: Decay of the second moment, 0 <= b2 < 1.
        num_steps: Number of updates.

    Returns:
        The factors of the first and of the second moment, float32 [num_steps] each.
    """
    return _bias_corrections(b1, num_steps), _bias_corrections(b2, num_steps)


def momentum_weights(
    momentum: float, num_steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the weights of momentum and gradient in muon's Nesterov step.

    Entry i belongs to update t = i + 1: `m / (1 - m ** (t + 1))` for the momentum, which includes
    the gradient already, and `(1 - m) / (1 - m ** t)` for the gradient.

    Args:
        momentum: Decay m of the momentum, 0 <= m < 1.
        num_steps: Number of updates.

    Returns:
        The two weights, float32 [num_steps] each.
    """
    factor = _fixed(_decimal(momentum))
    of_momentum, of_gradient = [], []
    power = factor
    for _ in range(num_steps):
        of_gradient.append((_ONE - factor) * _ONE // (_ONE - power))
        power = power * factor >> _FRACTION_BITS
        of_momentum.append(factor * _ONE // (_ONE - power))
    return _round_all(of_momentum), _round_all(of_gradient)


def normal_matrix(seed: int, name: str, shape: Sequence[int], std: float) -> NDArray[np.float32]:
    """Draw approximately normal numbers that are the same on every machine.

    Each number is the sum of 12 independent uniform 16-bit integers, less its mean 393210, over
    2**16: an Irwin-Hall distribution with mean 0, variance 1 - 2**-32, excess kurtosis -0.1 and
    no value beyond 6. The sum is exact, the division too; the product with the float32 nearest to
    `std` is the only rounding.

    The integers are little-endian pairs of bytes from SHAKE-256 (FIPS 202): block i of 32768
    numbers is the output for the canonical JSON `["tunixrt.normal_matrix", 1, seed, name, i]`.
    So a tensor depends on its name and the seed, not on the tensors drawn before it.

    Args:
        seed: Seed of the run.
        name: Name of the tensor.
        shape: Shape of the result.
        std: Standard deviation.

    Returns:
        float32 [*shape], in C order.
    """
    n_weights = prod(shape)
    sums = np.empty(n_weights, np.int32)
    for start in range(0, n_weights, _WEIGHTS_A_BLOCK):
        n_block = min(_WEIGHTS_A_BLOCK, n_weights - start)
        key = ["tunixrt.normal_matrix", 1, seed, name, start // _WEIGHTS_A_BLOCK]
        text = json.dumps(key, separators=(",", ":"), ensure_ascii=False)
        stream = hashlib.shake_256(text.encode()).digest(n_block * _DRAWS * 2)
        draws = np.frombuffer(stream, "<u2").reshape(n_block, _DRAWS)
        sums[start : start + n_block] = draws.sum(axis=1, dtype=np.int32)
    # |sum - mean| < 2**19, so the conversion and the power of two are exact.
    standard = (sums - _DRAWS * 65535 // 2).astype(np.float32) * np.float32(2.0**-16)
    scaled = standard * np.float32(std)
    return np.asarray(scaled.reshape(tuple(shape)), np.float32, order="C")


def _decimal(value: float) -> decimal.Decimal:
    """The shortest decimal text of a float, as it is written in a configuration."""
    return decimal.Decimal(repr(value))


def _fixed(value: decimal.Decimal) -> int:
    return round(Fraction(value) * _ONE)


def _bias_corrections(decay: float, num_steps: int) -> NDArray[np.float32]:
    factor = _fixed(_decimal(decay))
    corrections = []
    power = _ONE
    for _ in range(num_steps):
        power = power * factor >> _FRACTION_BITS
        corrections.append(_ONE * _ONE // (_ONE - power))
    return _round_all(corrections)


def _decay(schedule: Schedule, n_steps: int) -> Iterator[Fraction]:
    if schedule == "constant":
        yield from (Fraction(1) for _ in range(n_steps))
    elif schedule == "linear":
        yield from (Fraction(n_steps - step, n_steps) for step in range(n_steps))
    elif n_steps:
        half_turn = _pi() // n_steps
        for cosine, _ in _rotations(half_turn, n_steps):
            yield Fraction(_ONE + cosine, 2 * _ONE)


def _rotations(angle: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield fixed-point (cos, sin) of 0, angle, 2 angle, ... for a fixed-point angle in radians."""
    step_cosine, step_sine = _cosine_and_sine(angle)
    cosine, sine = _ONE, 0
    for _ in range(count):
        yield cosine, sine
        cosine, sine = (
            cosine * step_cosine - sine * step_sine >> _FRACTION_BITS,
            sine * step_cosine + cosine * step_sine >> _FRACTION_BITS,
        )


def _cosine_and_sine(angle: int) -> tuple[int, int]:
    """Sum the Taylor series of both functions together; quick for angles up to about 4."""
    sums = [0, 0]
    term, n = _ONE, 0
    while term:
        sums[n % 2] += -term if n & 2 else term
        n += 1
        term = (term * angle >> _FRACTION_BITS) // n
    return sums[0], sums[1]


def _pi() -> int:
    """Pi by Machin's formula, 16 arctan(1/5) - 4 arctan(1/239)."""
    return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)


def _arctan_of_inverse(x: int) -> int:
    total, power, n = 0, _ONE // x, 0
    while power:
        total += (-power if n & 1 else power) // (2 * n + 1)
        power //= x * x
        n += 1
    return total


def _round_all(values: Iterable[int]) -> NDArray[np.float32]:
    """Round fixed-point integers to float32, once; magnitudes below 2**-126 become zero."""
    wide = np.array([_odd_double(value) for value in values], np.float64)
    return np.where(np.abs(wide) < 2.0**-126, 0.0, wide).astype(np.float32)


def _odd_double(value: int) -> float:
    """Round a fixed-point integer to 53 bits, to odd.

    Rounding to odd keeps in the last bit whether anything was lost, so that rounding the result
    to nearest again, to float32's 24 bits, gives what one rounding would have given
    (Boldo and Melquiond 2008: 53 >= 2 * 24 + 2 suffices).
    """
    magnitude = abs(value)
    surplus = max(0, magnitude.bit_length() - 53)
    kept = magnitude >> surplus
    if kept << surplus != magnitude:
        kept |= 1
    # Both are powers of two times an integer below 2**53: exact.
    result = float(kept) * 2.0 ** (surplus - _FRACTION_BITS)
    return -result if value < 0 else result
