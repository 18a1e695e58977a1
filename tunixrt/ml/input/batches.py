"""Examples as arrays: their tokens, which of them are learned, and in which order.

The order is a pure function of (seed, step), so there is no iterator state to save. No example is
dropped silently: `EncodedExamples.ledger` has a line for every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tunixrt.errors import BadInputError
from tunixrt.ml.input.encoding import NOTHING_LEARNED, encode_example, ledger_line
from tunixrt.ml.tokenizer import PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tunixrt.datasets.render import Example
    from tunixrt.ml.input.encoding import EncodedExample, Tokenizer
    from tunixrt.runs.lines import LedgerLine

ROW_MULTIPLE = 8
"""Rows are as long as the longest example, rounded up to a multiple of this."""

PADDING_SEGMENT = 0
EXAMPLE_SEGMENT = 1


class OverlongExamplesError(BadInputError):
    """Examples have more tokens than fit into a row.

    Attributes:
        overlong: the ledger entries of all of them.
        max_length: how many tokens fit.
    """

    def __init__(self, overlong: Sequence[LedgerLine], max_length: int) -> None:
        shown = "; ".join(f"trace {e.trace}: {e.n_tokens:,} tokens" for e in overlong[:10])
        more = f"; and {len(overlong) - 10:,} more" if len(overlong) > 10 else ""
        have, them = ("has", "it") if len(overlong) == 1 else ("have", "them")
        longest = max(entry.n_tokens for entry in overlong)
        super().__init__(
            f"{len(overlong):,} of the examples {have} more than model.max_length = {max_length:,} "
            f"tokens ({shown}{more}). Set model.max_length to {longest:,} or more, or "
            f'data.overlong = "drop" to leave {them} out and count {them}.'
        )
        self.overlong = tuple(overlong)
        self.max_length = max_length


class NoExamplesError(BadInputError):
    """Nothing is left to train on."""


@dataclass(frozen=True)
class EncodedExamples:
    """The examples that are trained on, as arrays of equal rows.

    Attributes:
        tokens: [n, row_length + 1] int32, padded at the end. A row's inputs are all but its last
            token, its targets all but its first.
        lengths: [n] int32, tokens of each example.
        learned: [n, row_length + 1] bool, which tokens are learned; each row has at least one, and
            the first token of a row is never one.
        ledger: an entry for every example that was given, in their order.
        kept: [n] int64, the index in the ledger of each row.
    """

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int32]
    learned: NDArray[np.bool_]
    ledger: tuple[LedgerLine, ...]
    kept: NDArray[np.int64]

    @property
    def first_learned(self) -> int:
        """A position before which no row has a target that is learned."""
        return int(self.learned.argmax(axis=1).min()) - 1

    @property
    def n_learned(self) -> int:
        """How many tokens are learned, each counted once."""
        return int(np.count_nonzero(self.learned))


class Rows(NamedTuple):
    """What a forward pass and its loss read: [B, T] each, here with leading axes [K, A].

    A NamedTuple, so that jax treats it as a tree of arrays.
    """

    tokens: NDArray[np.int32]
    targets: NDArray[np.int32]
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    loss_weights: NDArray[np.float32]  # 1 where the target is learned, 0 elsewhere


class Batches(NamedTuple):
    """The rows of K steps of A accumulated passes, and how many targets each step learns."""

    rows: Rows  # [K, A, B, T]
    n_loss_tokens: NDArray[np.float32]  # [K], exact: float32 counts to 2 ** 24


def encode_examples(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    overlong: Literal["error", "drop"],
) -> EncodedExamples:
    """Encode examples as rows of tokens; one without a learned token is dropped and counted.

    Args:
        examples: their parts as pieces.
        tokenizer: encodes the pieces.
        max_length: the most tokens per row.
        overlong: whether a longer example is an error, or is dropped and counted.

    Raises:
        OverlongExamplesError: some are too long, and ``overlong`` is "error".
        NoExamplesError: no example is given, or none is left.
    """
    if not examples:
        raise NoExamplesError("There are no examples to train on: the dataset's split is empty.")
    rows: list[EncodedExample] = []
    ledger: list[LedgerLine] = []
    kept: list[int] = []
    for place, example in enumerate(examples):
        encoded = encode_example(example, tokenizer)
        ledger.append(ledger_line(example, encoded, max_length))
        if ledger[-1].outcome == "kept":
            rows.append(encoded)
            kept.append(place)
    dropped = [entry for entry in ledger if entry.outcome == "dropped"]
    too_long = [entry for entry in dropped if entry.reason != NOTHING_LEARNED]
    if too_long and overlong == "error":
        raise OverlongExamplesError(too_long, max_length)
    if not rows:
        raise NoExamplesError(_why_none(len(dropped) - len(too_long), len(too_long), max_length))
    tokens, learned = _padded(rows, max_length)
    return EncodedExamples(
        tokens=tokens,
        lengths=np.array([len(row.tokens) for row in rows], np.int32),
        learned=learned,
        ledger=tuple(ledger),
        kept=np.array(kept, np.int64),
    )


def _why_none(n_masked: int, n_too_long: int, max_length: int) -> str:
    longer = f"have more than model.max_length = {max_length:,} tokens"
    masked = "have no learned token: every assistant turn is masked"
    if n_masked and n_too_long:
        why = f"{n_too_long:,} {longer}, and {n_masked:,} {masked}"
    else:
        why = f"all {n_masked + n_too_long:,} {masked if n_masked else longer}"
    return f"There are no examples to train on: {why}."


def _padded(
    rows: Sequence[EncodedExample], max_length: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """One column more than a forward pass has inputs, since targets are inputs shifted by one."""
    longest = max(len(row.tokens) for row in rows)
    row_length = min(-(-(longest - 1) // ROW_MULTIPLE) * ROW_MULTIPLE, max_length)
    tokens = np.full((len(rows), row_length + 1), PAD, np.int32)
    learned = np.zeros(tokens.shape, np.bool_)
    for row, padded, mask in zip(rows, tokens, learned, strict=True):
        padded[: len(row.tokens)] = row.tokens
        for places in row.learned:
            mask[places.start : places.stop] = True
    return tokens, learned


@lru_cache(maxsize=4)
def epoch_order(shuffle_seed: int, epoch: int, n_examples: int, *purpose: int) -> NDArray[np.int64]:
    """The order of one epoch: a permutation of 0 to n_examples - 1.

    One 64-bit word of PCG64, seeded with (shuffle_seed, epoch, *purpose), is drawn for each
    example, and the examples are sorted by their words (ties by index). NumPy guarantees that the
    words of PCG64 and SeedSequence never change, but not the results of ``Generator.permutation``.
    """
    seed = np.random.SeedSequence([shuffle_seed, epoch, *purpose])
    words = np.random.PCG64(seed).random_raw(n_examples)
    order = np.argsort(words, kind="stable")
    order.flags.writeable = False  # the cache shares it among callers
    return order


def examples_of_step(
    shuffle_seed: int, step: int, n_examples: int, n_rows: int
) -> NDArray[np.int64]:
    """Which examples step number ``step`` (from 0) is trained on, in their order.

    Epochs follow each other without a gap: a step may contain the last rows of one and the first
    of the next, so the numbers of times that examples are seen differ by at most one.
    """
    return np.concatenate(
        [
            epoch_order(shuffle_seed, epoch, n_examples)[part]
            for epoch, part in parts_of_step(step, n_examples, n_rows)
        ]
    )


def parts_of_step(step: int, n_per_epoch: int, n_rows: int) -> list[tuple[int, slice]]:
    """The epochs that a step of ``n_rows`` rows belongs to, and which rows of each."""
    first = step * n_rows
    last = first + n_rows
    return [
        (
            epoch,
            slice(
                max(first - epoch * n_per_epoch, 0), min(last - epoch * n_per_epoch, n_per_epoch)
            ),
        )
        for epoch in range(first // n_per_epoch, (last - 1) // n_per_epoch + 1)
    ]


def batches_of_steps(
    examples: EncodedExamples,
    steps: range,
    *,
    shuffle_seed: int,
    batch_size: int,
    accumulation: int,
) -> Batches:
    """The inputs of consecutive steps, one example per row."""
    n_rows = batch_size * accumulation
    chosen = np.stack(
        [examples_of_step(shuffle_seed, step, len(examples.tokens), n_rows) for step in steps]
    )
    return batches_of(rows_of_examples(examples, chosen), accumulation)


def rows_of_examples(examples: EncodedExamples, chosen: NDArray[np.int64]) -> Rows:
    """The rows of chosen examples [...], one each: every array is [..., T]."""
    tokens = examples.tokens[chosen]
    lengths = examples.lengths[chosen][..., None]
    row_length = tokens.shape[-1] - 1
    positions = np.broadcast_to(np.arange(row_length, dtype=np.int32), (*chosen.shape, row_length))
    return Rows(
        tokens=tokens[..., :-1],
        targets=tokens[..., 1:],
        positions=positions,
        segments=np.where(positions < lengths, EXAMPLE_SEGMENT, PADDING_SEGMENT).astype(np.int32),
        # The target at position p is token p + 1 of the example.
        loss_weights=examples.learned[chosen][..., 1:].astype(np.float32),
    )


def batches_of(rows: Rows, accumulation: int) -> Batches:
    """Arrange rows [K, A * B, T] as batches of K steps of A passes; count learned targets."""
    n_steps, n_rows, row_length = rows.tokens.shape
    shape = (n_steps, accumulation, n_rows // accumulation, row_length)
    n_learned = rows.loss_weights.sum(axis=(1, 2), dtype=np.float64).astype(np.float32)
    return Batches(Rows(*(leaf.reshape(shape) for leaf in rows)), n_learned)


def times_trained(
    n_examples: int, *, shuffle_seed: int, num_steps: int, n_rows: int
) -> NDArray[np.int64]:
    """[n] int64: how many times each example is seen in the whole run."""
    n_seen = num_steps * n_rows
    n_epochs, rest = divmod(n_seen, n_examples)
    times = np.full(n_examples, n_epochs, np.int64)
    times[epoch_order(shuffle_seed, n_epochs, n_examples)[:rest]] += 1
    return times
