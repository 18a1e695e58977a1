"""How the next token is chosen: the most probable one, or one sampled by probability."""

from __future__ import annotations

from typing import Final

import msgspec

from tunixrt.errors import BadInputError

LOWEST_TEMPERATURE: Final = 0.01
"""Below it, float32 can hardly distinguish sampling from greedy decoding."""

HIGHEST_TEMPERATURE: Final = 100.0


class SamplingError(BadInputError):
    """A setting of sampling is out of its range.

    Attributes:
        field: ``temperature`` or ``top_p``.
        value: the value found.
    """

    def __init__(self, field: str, value: float, expected: str) -> None:
        super().__init__(f"Sampling: {field} should be {expected}, found {value:g}.")
        self.field = field
        self.value = value


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Temperature and nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751).

    Attributes:
        temperature: the divisor of the logits before the softmax. 0 is greedy: the highest logit,
            the lowest token id on a tie.
        top_p: tokens are taken in descending order of probability, ties by ascending id, until
            their probabilities add up to ``top_p`` or more; the others are never drawn.

    Raises:
        SamplingError: a number is out of its range, or has no effect on greedy decoding.
    """

    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature and not LOWEST_TEMPERATURE <= self.temperature <= HIGHEST_TEMPERATURE:
            expected = f"0 (greedy) or from {LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}"
            raise SamplingError("temperature", self.temperature, expected)
        if not 0 < self.top_p <= 1:
            raise SamplingError("top_p", self.top_p, "above 0, and 1 at most")
        if self.is_greedy and self.top_p != 1:
            raise SamplingError("top_p", self.top_p, "1 where temperature is 0 (greedy)")

    @property
    def is_greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0


GREEDY: Final = Sampling()
