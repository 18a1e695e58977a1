"""A record as tokens: its mask, its outcome, and what is suspicious about it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.render import Special
from tunixrt.log.digests import Digest
from tunixrt.report.blocks import Token
from tunixrt.traces.conversation import Conversation, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.datasets.render import Example, Piece
    from tunixrt.jobs.tokens.settings import SpanTokenizer
    from tunixrt.ml.input.encoding import EncodedExample, Tokenizer
    from tunixrt.traces.schema import AnyTrace


class TokenWarning(StrEnum):
    """What is suspicious about a record as it would be trained on."""

    NOTHING_TRAINED = "no token is trained"
    ALL_TRAINED = "every token is trained, the prompt, too"
    END_NOT_TRAINED = "a trained turn does not end in the end-of-turn token: the model never stops"
    TWO_BOS = "the beginning-of-text token occurs twice"
    REASONING_LEFT_OUT = "the template leaves out the reasoning of earlier turns"
    REFUSED = "the record is too long, and training refuses to start (data.overlong is error)"


class RecordTokens(msgspec.Struct, frozen=True):
    """A member of a dataset as tokens.

    The tokens of a record are trained, masked, dropped or truncated; the four counts add up.

    Attributes:
        trace: its trace.
        split: its split.
        outcome: kept, dropped, truncated or redacted.
        reason: why it is not kept.
        n_tokens: its length.
        n_trained: tokens that the model learns to write.
        n_masked: tokens that it only reads.
        n_dropped: all tokens of a dropped record.
        n_truncated: tokens that were cut off; no template of tunixrt cuts any.
        warnings: what is suspicious.
        tokens: every token with its mask; empty for records that are only counted.
    """

    trace: Digest
    split: str
    outcome: str
    reason: str | None = None
    n_tokens: int = 0
    n_trained: int = 0
    n_masked: int = 0
    n_dropped: int = 0
    n_truncated: int = 0
    warnings: tuple[TokenWarning, ...] = ()
    tokens: tuple[Token, ...] = ()


def warnings_about(encoded: EncodedExample, tokenizer: Tokenizer) -> Iterator[TokenWarning]:
    """Yield what is suspicious about the tokens of an example and their mask."""
    if not encoded.n_learned:
        yield TokenWarning.NOTHING_TRAINED
    # The first token is never trained: nothing comes before it.
    elif encoded.n_learned >= len(encoded.tokens) - 1:
        yield TokenWarning.ALL_TRAINED
    (end,) = tokenizer.encode([Special.END_OF_TURN])
    if any(places and encoded.tokens[places[-1]] != end for places in encoded.learned):
        yield TokenWarning.END_NOT_TRAINED
    (bos,) = tokenizer.encode([Special.BOS])
    if encoded.tokens.count(bos) > 1:
        yield TokenWarning.TWO_BOS


def leaves_out_reasoning(trace: AnyTrace, example: Example) -> bool:
    """Return whether an assistant turn before the last has reasoning that is not in the example."""
    if not isinstance(trace, Conversation):
        return False
    *earlier, _ = (m.thought for m in trace.messages if m.role is Role.ASSISTANT)
    if not any(earlier):
        return False
    text = "".join(piece for part in example.parts for piece in part.pieces)
    place = 0
    for thought in earlier:
        place = text.find(thought, place)
        if place < 0:
            return True
        place += len(thought)
    return False


def tokens_of(
    example: Example, encoded: EncodedExample, tokenizer: SpanTokenizer
) -> Iterator[Token]:
    """Yield the tokens of an example with their mask; those of one character are together."""
    trained = {place for places in encoded.learned for place in places}
    place = 0
    for part in example.parts:
        for piece in part.pieces:
            for ids, text in _spans(piece, tokenizer):
                yield Token(text, ids, place + len(ids) - 1 in trained, isinstance(piece, Special))
                place += len(ids)


def _spans(piece: Piece, tokenizer: SpanTokenizer) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(piece, Special):
        yield tuple(tokenizer.encode([piece])), piece.value
    else:
        yield from tokenizer.spans(piece)
