"""How the next token is chosen: the likeliest one, or one drawn by its probability."""

from __future__ import annotations

from typing import Final

import msgspec

from tunixrt.errors import BadInputError

LOWEST_TEMPERATURE: Final = 0.01
"""Below it, float32 can hardly tell sampling from greedy."""

HIGHEST_TEMPERATURE: Final = 100.0


class SamplingError(BadInputError):
    """A setting of sampling is out of its range.

    Attributes:
        field: ``temperature`` or ``top_p``.
        value: what was found there.
    """

    def __init__(self, field: str, value: float, expected: str) -> None:
        super().__init__(f"Sampling: {field} should be {expected}, found {value:g}.")
        self.field = field
        self.value = value


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Temperature and nucleus (Holtzman et al. 2020, arXiv:1904.09751).

    Attributes:
        temperature: what logits are divided by before the softmax. 0 is greedy: the highest logit,
            the lowest token id on a tie.
        top_p: tokens are taken from the likeliest down, the lower id first among equals, until
            their probabilities add up to ``top_p`` or more; the others are never drawn.

    Raises:
        SamplingError: a number is out of its range, or says something that greedy cannot heed.
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
