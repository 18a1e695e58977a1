"""One example as tokens, which of them are learned, and whether it is trained on.

Imports neither jax nor numpy, so commands that only look at tokens start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tunixrt.runs.lines import LedgerLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunixrt.datasets.render import Example, Piece

#: The reason of an example whose assistant turns are all masked.
NOTHING_LEARNED: Final = "no learned token"


class Tokenizer(Protocol):
    """What makes tokens of pieces."""

    def encode(self, pieces: Iterable[Piece]) -> list[int]:
        """Encode pieces in order; nothing is added before, between or after them."""


class EncodedExample(NamedTuple):
    """An example as tokens.

    Attributes:
        tokens: of all its parts, in order.
        learned: the places of those that are learned. The first token of an example is never one
            of them, since nothing comes before it that it could be predicted from.
    """

    tokens: list[int]
    learned: list[range]

    @property
    def n_learned(self) -> int:
        """How many tokens are learned."""
        return sum(map(len, self.learned))


def encode_example(example: Example, tokenizer: Tokenizer) -> EncodedExample:
    """Encode an example, part by part."""
    tokens: list[int] = []
    learned: list[range] = []
    for part in example.parts:
        start = len(tokens)
        tokens += tokenizer.encode(part.pieces)
        if part.is_learned:
            learned.append(range(max(start, 1), len(tokens)))
    return EncodedExample(tokens, learned)


def ledger_line(example: Example, encoded: EncodedExample, max_length: int | None) -> LedgerLine:
    """Return the outcome for an example: kept, or dropped with the reason.

    Args:
        example: names the trace.
        encoded: its tokens.
        max_length: the most tokens that fit; None if there is no limit.
    """
    n_tokens, reason = len(encoded.tokens), None
    if not encoded.n_learned:
        reason = NOTHING_LEARNED
    elif max_length is not None and n_tokens > max_length:
        reason = f"more than {max_length} tokens"
    return LedgerLine(
        trace=example.trace,
        outcome="kept" if reason is None else "dropped",
        n_tokens=n_tokens,
        n_loss_tokens=encoded.n_learned if reason is None else 0,
        reason=reason,
    )
