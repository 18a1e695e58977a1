"""Packed rows: nothing is lost, nobody sees a neighbour, and the order is a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.models import example, sliding_config, tiny_config
from tunixrt.ml import environment
from tunixrt.ml.input.batches import encode_examples, rows_of_examples
from tunixrt.ml.input.feed import Feed
from tunixrt.ml.input.packing import (
    Packing,
    pack,
    packed_batches_of_steps,
    packed_rows_of_step,
    rows_of_epoch,
)
from tunixrt.ml.model import Decoder, initial_weights
from tunixrt.ml.numerics import numerics_for
from tunixrt.ml.tokenizer import PAD, ByteTokenizer
from tunixrt.ml.training import train

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tunixrt.ml.input.batches import EncodedExamples, Rows

pytestmark = pytest.mark.usefixtures("fast_mode")

#: 5 long ones and 20 short ones, of many lengths.
EXAMPLES = [
    *(example("q" * (24 + n), f"Answer: {n}") for n in range(5)),
    *(example("p" * (n % 4), f"Answer: {n}") for n in range(20)),
]


def encoded() -> EncodedExamples:
    return encode_examples(EXAMPLES, ByteTokenizer(), max_length=64, overlong="error")


@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=60), seed=st.integers(0, 2**53 - 1)
)
def test_every_epoch_has_every_example_once_in_rows_that_are_long_enough(
    lengths: list[int], seed: int
) -> None:
    examples = encoded()
    numbers = np.arange(len(lengths))
    fake = type(examples)(
        tokens=np.zeros((len(lengths), max(lengths)), np.int32),
        lengths=np.array(lengths, np.int32),
        learned=np.ones((len(lengths), max(lengths)), np.bool_),
        ledger=(),
        kept=numbers,
    )
    packing = pack(fake)
    for epoch in range(2):
        rows = rows_of_epoch(packing, seed, epoch)
        assert sorted(np.concatenate(rows).tolist()) == numbers.tolist()
        fills = [int(packing.lengths[row].sum()) for row in rows]
        assert max(fills) <= packing.row_length
        # No two rows would fit into one, or best fit would have put them there.
        assert len(fills) < 2 or sum(sorted(fills)[:2]) > packing.row_length


def test_fewer_rows_hold_the_same_examples() -> None:
    packing = pack(encoded())
    assert len(packing.rows) < len(EXAMPLES) * 0.7


def test_a_packed_row_holds_whole_examples_with_positions_from_zero() -> None:
    examples = encoded()
    packing = pack(examples)
    batches = packed_batches_of_steps(
        examples, packing, range(3), shuffle_seed=4, batch_size=2, accumulation=2
    )
    assert batches.rows.tokens.shape == (3, 2, 2, packing.row_length)
    for step in range(3):
        of_step = packed_rows_of_step(packing, 4, step, 4)
        flat = jax.tree.map(lambda leaf: leaf[step].reshape(4, -1), batches.rows)  # noqa: B023
        for number, row in enumerate(of_step):
            for segment, chosen in enumerate(row.tolist(), start=1):
                here = flat.segments[number] == segment
                length = examples.lengths[chosen] - 1
                assert here.sum() == length
                tokens = examples.tokens[chosen]
                assert flat.tokens[number][here].tolist() == tokens[:length].tolist()
                assert flat.targets[number][here].tolist() == tokens[1 : length + 1].tolist()
                assert flat.positions[number][here].tolist() == list(range(length))
                learned = flat.loss_weights[number][here]
                assert learned.tolist() == examples.learned[chosen][1 : length + 1].tolist()
            padding = flat.segments[number] == 0
            assert (flat.tokens[number][padding] == PAD).all()
            assert flat.loss_weights[number][padding].sum() == 0
        assert batches.n_loss_tokens[step] == flat.loss_weights.sum()


def test_the_packed_batches_of_a_step_do_not_depend_on_the_steps_before_it() -> None:
    examples = encoded()
    setting = {"shuffle_seed": 3, "batch_size": 3, "accumulation": 1}
    whole = packed_batches_of_steps(examples, pack(examples), range(8), **setting)
    late = packed_batches_of_steps(examples, pack(examples), range(6, 8), **setting)
    for together, alone in zip((*whole.rows, whole[1]), (*late.rows, late[1]), strict=True):
        np.testing.assert_array_equal(together[6:], alone)


def test_epochs_pack_other_examples_together() -> None:
    packing = pack(encoded())
    first, second = (
        {frozenset(row.tolist()) for row in rows_of_epoch(packing, 0, epoch)} for epoch in (0, 1)
    )
    assert first != second


@pytest.mark.parametrize("packing", ["true", "false"])
def test_the_ledger_counts_what_was_trained_on(packing: str) -> None:
    config = tiny_config(f"data.packing={packing}", "training.num_steps=7")
    feed = Feed(config, encoded())
    seen = [trace for step in range(7) for trace in feed.traces(step)]
    for entry in feed.ledger():
        assert entry.n_times_trained == seen.count(entry.trace)
    assert feed.n_rows_per_epoch == len(pack(encoded()).rows if packing == "true" else EXAMPLES)


def _logits(model: Decoder, rows: Rows) -> NDArray[Any]:
    @jax.jit
    def run(rows: Any) -> jax.Array:
        return model.logits(model(rows.tokens, rows.positions, rows.segments))

    return np.asarray(run(rows))


def test_in_portable_mode_an_example_has_the_same_loss_packed_or_alone() -> None:
    environment.prepare("portable")
    examples, numerics, config = encoded(), numerics_for("portable"), sliding_config(n_layers=2)
    model = Decoder(config, numerics, initial_weights(config, 0))
    packing: Packing = pack(examples)
    together = packed_batches_of_steps(
        examples, packing, range(1), shuffle_seed=0, batch_size=len(packing.rows), accumulation=1
    )
    packed = jax.tree.map(lambda leaf: leaf[0, 0], together.rows)
    alone = rows_of_examples(examples, np.arange(len(EXAMPLES)))
    packed_logits, alone_logits = _logits(model, packed), _logits(model, alone)
    cross_entropy = jax.jit(numerics.cross_entropy)

    def loss_of(*arrays: NDArray[Any]) -> float:
        """One shape for all, or each would be compiled."""
        missing = packing.row_length - len(arrays[0])
        padded = (np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1)) for a in arrays)
        return float(cross_entropy(*padded))

    for number, row in enumerate(packed_rows_of_step(packing, 0, 0, len(packing.rows))):
        for segment, chosen in enumerate(row.tolist(), start=1):
            here = packed.segments[number] == segment
            one, other = (
                packed_logits[number][here],
                alone_logits[chosen][: examples.lengths[chosen] - 1],
            )
            np.testing.assert_array_equal(one, other)
            losses = [
                loss_of(logits, rows.targets[place][there], rows.loss_weights[place][there])
                for logits, rows, place, there in (
                    (one, packed, number, here),
                    (other, alone, chosen, slice(len(other))),
                )
            ]
            assert losses[0] == losses[1] > 0


def test_training_on_packed_rows_learns_more_tokens_a_step(tmp_path: Path) -> None:
    settings = ("training.num_steps=10", "training.gradient_accumulation_steps=2")
    plain = train(tiny_config(*settings), EXAMPLES, tmp_path / "plain")
    packed = train(tiny_config(*settings, "data.packing=true"), EXAMPLES, tmp_path / "packed")
    assert packed.n_loss_tokens > plain.n_loss_tokens * 1.3
    assert packed.final_loss < packed.initial_loss
    assert sum(e.n_times_trained for e in packed.ledger) > 10 * 8
