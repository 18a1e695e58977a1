"""Which examples each step of a run is trained on, packed or one per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tunixrt.ml.input.batches import (
    batches_of_steps,
    encode_examples,
    examples_of_step,
    times_trained,
)
from tunixrt.ml.input.packing import (
    pack,
    packed_batches_of_steps,
    packed_rows_of_step,
    times_trained_packed,
)
from tunixrt.ml.tokenizer import ByteTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tunixrt.datasets.render import Example
    from tunixrt.ml.input.batches import Batches, EncodedExamples
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.lines import LedgerLine


def encode(config: RunConfig, examples: Sequence[Example]) -> EncodedExamples:
    """Encode examples as rows of tokens, as the configuration says.

    Raises:
        OverlongExamplesError: some do not fit, and the configuration does not drop them.
        NoExamplesError: no example is given, or none is left.
    """
    return encode_examples(
        examples,
        ByteTokenizer(),
        max_length=config.model.max_length,
        overlong=config.data.overlong,
    )


class Feed:
    """The examples of a run in the order of its steps: a pure function of the configuration."""

    def __init__(self, config: RunConfig, examples: EncodedExamples) -> None:
        self.examples = examples
        self.row_length = examples.tokens.shape[1] - 1
        self._seed = config.data.shuffle_seed
        self._batch_size = config.training.batch_size
        self._accumulation = config.training.gradient_accumulation_steps
        self._num_steps = config.training.num_steps
        self._packing = pack(examples) if config.data.packing else None

    @property
    def n_rows(self) -> int:
        """The number of rows per step."""
        return self._batch_size * self._accumulation

    @property
    def n_rows_per_epoch(self) -> int:
        """The number of rows that contain every example once."""
        return len(self.examples.tokens if self._packing is None else self._packing.rows)

    def batches(self, steps: range) -> Batches:
        """The inputs of consecutive steps, counted from 0."""
        if self._packing is None:
            return batches_of_steps(
                self.examples,
                steps,
                shuffle_seed=self._seed,
                batch_size=self._batch_size,
                accumulation=self._accumulation,
            )
        return packed_batches_of_steps(
            self.examples,
            self._packing,
            steps,
            shuffle_seed=self._seed,
            batch_size=self._batch_size,
            accumulation=self._accumulation,
        )

    def traces(self, step: int) -> list[str]:
        """The traces of one step, counted from 0."""
        if self._packing is None:
            n_examples = len(self.examples.tokens)
            chosen = examples_of_step(self._seed, step, n_examples, self.n_rows)
        else:
            chosen = np.concatenate(
                packed_rows_of_step(self._packing, self._seed, step, self.n_rows)
            )
        return [self.examples.ledger[place].trace for place in self.examples.kept[chosen].tolist()]

    def ledger(self) -> tuple[LedgerLine, ...]:
        """The outcome of every example, and how often it is trained on in the whole run."""
        ledger = list(self.examples.ledger)
        for place, n_times in zip(
            self.examples.kept.tolist(), self._times_trained().tolist(), strict=True
        ):
            ledger[place] = msgspec.structs.replace(ledger[place], n_times_trained=n_times)
        return tuple(ledger)

    def _times_trained(self) -> NDArray[np.int64]:
        if self._packing is None:
            return times_trained(
                len(self.examples.tokens),
                shuffle_seed=self._seed,
                num_steps=self._num_steps,
                n_rows=self.n_rows,
            )
        return times_trained_packed(
            self._packing,
            shuffle_seed=self._seed,
            num_steps=self._num_steps,
            n_rows=self.n_rows,
        )
