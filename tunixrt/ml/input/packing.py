"""Packing: which examples share a row, and the arrays of such rows.

Examples are sorted by length, longest first, and each goes into the fullest row that still fits it
(best fit decreasing; Johnson 1973 proves at most 11/9 of the minimum number of rows, plus a
constant). The layout of the rows depends on the lengths alone, so it is the same in every epoch;
which of the examples of equal length takes which place, and the order of the rows, is drawn per
epoch, from (seed, epoch). As without packing, there is no state to save.

Each example in a row is a segment of its own with positions from 0, so it sees what it would see
alone (`tunixrt.ml.model`), and in portable mode its logits have the same bits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tunixrt.ml.input.batches import (
    PADDING_SEGMENT,
    Batches,
    Rows,
    batches_of,
    epoch_order,
    parts_of_step,
)
from tunixrt.ml.tokenizer import PAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tunixrt.ml.input.batches import EncodedExamples

_ROW_ORDER = 1
"""Separates the random words for the order of rows from those for the order of examples."""


@dataclass(frozen=True, eq=False)
class Packing:
    """How examples of given lengths share rows.

    Attributes:
        lengths: [n] the places in a row of each example: all its tokens but the last.
        rows: for each row, places in the list of examples from the longest to the shortest.
        row_length: the number of places per row.
    """

    lengths: NDArray[np.int32]
    rows: tuple[NDArray[np.int64], ...]
    row_length: int


def pack(examples: EncodedExamples) -> Packing:
    """Assign the examples to rows of the length that the longest of them needs."""
    lengths = examples.lengths - 1
    row_length = examples.tokens.shape[1] - 1
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (places left, row), ascending
    for rank, length in enumerate(sorted(lengths.tolist(), reverse=True)):
        fitting = bisect_left(open_rows, (length, -1))
        if fitting == len(open_rows):
            left, row = row_length, len(rows)
            rows.append([])
        else:
            left, row = open_rows.pop(fitting)
        rows[row].append(rank)
        insort(open_rows, (left - length, row))
    return Packing(lengths, tuple(np.array(row, np.int64) for row in rows), row_length)


@lru_cache(maxsize=4)
def rows_of_epoch(packing: Packing, shuffle_seed: int, epoch: int) -> tuple[NDArray[np.int64], ...]:
    """The examples of each row of an epoch, the longest first, in the order of the rows."""
    shuffled = epoch_order(shuffle_seed, epoch, len(packing.lengths))
    ranked = shuffled[np.argsort(-packing.lengths[shuffled], kind="stable")]
    order = epoch_order(shuffle_seed, epoch, len(packing.rows), _ROW_ORDER)
    return tuple(ranked[packing.rows[row]] for row in order.tolist())


def packed_rows_of_step(
    packing: Packing, shuffle_seed: int, step: int, n_rows: int
) -> list[NDArray[np.int64]]:
    """The examples of each row of step number ``step`` (from 0)."""
    return [
        row
        for epoch, part in parts_of_step(step, len(packing.rows), n_rows)
        for row in rows_of_epoch(packing, shuffle_seed, epoch)[part]
    ]


def packed_batches_of_steps(
    examples: EncodedExamples,
    packing: Packing,
    steps: range,
    *,
    shuffle_seed: int,
    batch_size: int,
    accumulation: int,
) -> Batches:
    """The inputs of consecutive steps, with packed rows."""
    n_rows = batch_size * accumulation
    rows = _empty_rows((len(steps), n_rows, packing.row_length))
    for place, step in enumerate(steps):
        of_step = packed_rows_of_step(packing, shuffle_seed, step, n_rows)
        for number, row in enumerate(of_step):
            _fill(Rows(*(leaf[place, number] for leaf in rows)), examples, row)
    return batches_of(rows, accumulation)


def times_trained_packed(
    packing: Packing, *, shuffle_seed: int, num_steps: int, n_rows: int
) -> NDArray[np.int64]:
    """[n] int64: how many times each example is seen in the whole run."""
    n_epochs, rest = divmod(num_steps * n_rows, len(packing.rows))
    times = np.full(len(packing.lengths), n_epochs, np.int64)
    for row in rows_of_epoch(packing, shuffle_seed, n_epochs)[:rest]:
        times[row] += 1
    return times


def _empty_rows(shape: tuple[int, int, int]) -> Rows:
    """Rows of padding only."""
    return Rows(
        tokens=np.full(shape, PAD, np.int32),
        targets=np.full(shape, PAD, np.int32),
        positions=np.zeros(shape, np.int32),
        segments=np.full(shape, PADDING_SEGMENT, np.int32),
        loss_weights=np.zeros(shape, np.float32),
    )


def _fill(row: Rows, examples: EncodedExamples, numbers: NDArray[np.int64]) -> None:
    """Write examples into a row of padding [T]; segments count from 1."""
    start = 0
    for segment, number in enumerate(numbers.tolist(), start=1):
        length = int(examples.lengths[number]) - 1
        places, tokens = slice(start, start + length), examples.tokens[number]
        row.tokens[places] = tokens[:length]
        row.targets[places] = tokens[1 : length + 1]
        row.positions[places] = np.arange(length, dtype=np.int32)
        row.segments[places] = segment
        row.loss_weights[places] = examples.learned[number][1 : length + 1]
        start += length
